// Package terraform runs the tests of the Terraform modules with OpenTofu, which
// it builds: nothing has to be installed. Terraform itself runs them too.
package terraform
