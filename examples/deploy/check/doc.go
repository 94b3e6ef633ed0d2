// Package check judges the examples of deployments with the tools that they are
// for, as far as these work without a cloud: Dockerfiles with BuildKit, workflows
// with actionlint, units with systemd, HCL with its parser. It is a module of its
// own, so that nobody who builds the gateway gets those tools. So are the folders
// kubernetes and terraform, whose tools need other versions of the same libraries.
package check
