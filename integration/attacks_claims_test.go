package integration

var attacksOnClaims = []attack{}
