package alb

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// arn is the ARN of an Application Load Balancer. The region becomes part of a host's
// name, so nothing else may be in its place.
var arn = regexp.MustCompile(`^arn:(aws(?:-[a-z]+)*):elasticloadbalancing:([a-z]+(?:-[a-z]+)+-[0-9]{1,2}):[0-9]{12}:loadbalancer/app/[A-Za-z0-9-]{1,32}/[0-9a-f]{16}$`)

// CheckARN says what is wrong with the ARN of a balancer.
func CheckARN(s string) error {
	if !arn.MatchString(s) {
		return errors.New("not the ARN of an Application Load Balancer (arn:aws:elasticloadbalancing:<region>:<account>:loadbalancer/app/<name>/<id>)")
	}
	return nil
}

// KeysOf returns where the keys of the balancer with this ARN are, to which a key's id
// is appended: docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html.
func KeysOf(balancer string) (string, error) {
	parts := arn.FindStringSubmatch(balancer)
	if parts == nil {
		return "", CheckARN(balancer)
	}
	partition, region := parts[1], parts[2]
	switch {
	case partition == "aws" && !strings.HasPrefix(region, "us-gov-") && !strings.HasPrefix(region, "cn-"):
		return "https://public-keys.auth.elb." + region + ".amazonaws.com/", nil
	case partition == "aws-us-gov" && (region == "us-gov-west-1" || region == "us-gov-east-1"):
		return "https://s3-" + region + ".amazonaws.com/aws-elb-public-keys-prod-" + region + "/", nil
	}
	return "", fmt.Errorf("where the keys of %s in the partition %s are is not documented: name it with keys", region, partition)
}
