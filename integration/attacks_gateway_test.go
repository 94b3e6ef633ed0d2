package integration

var attacksOnTheGateway = []attack{}
