// Package kubernetes judges the manifests with the schemas of Kubernetes, and by
// what they have to say together.
package kubernetes
