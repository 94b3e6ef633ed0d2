package integration

var attacksOnKeys = []attack{}
