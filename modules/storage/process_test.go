package storage

const roleVariable = "SALLYPORT_STORAGE_TEST_ROLE"

func play(string) int { return 0 }
