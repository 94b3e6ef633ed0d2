package validate

import (
	"net/http"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/validate/jsonscan"
	"github.com/sallyport-gateway/sallyport/modules/validate/openapi"
	"github.com/sallyport-gateway/sallyport/modules/validate/param"
)

const (
	titleMethod  = "This method is not accepted here."
	titleHeaders = "The header is too large."
	titleBody    = "The request body is too large."
)

var (
	reasonMethod      = decision.NewReason("validate.method", http.StatusMethodNotAllowed, titleMethod)
	reasonURI         = decision.NewReason("validate.uri_length", http.StatusBadRequest, "The request target is too long.")
	reasonHeaderCount = decision.NewReason("validate.header_count", http.StatusBadRequest, titleHeaders)
	reasonHeaderSize  = decision.NewReason("validate.header_size", http.StatusBadRequest, titleHeaders)

	reasonBodySize       = decision.NewReason("validate.body_size", http.StatusRequestEntityTooLarge, titleBody)
	reasonBodyRatio      = decision.NewReason("validate.body_ratio", http.StatusRequestEntityTooLarge, titleBody)
	reasonBodyIncomplete = decision.NewReason("validate.body_incomplete", http.StatusBadRequest, "The request body did not arrive whole.")
	reasonBodyRequired   = decision.NewReason("validate.body_required", http.StatusBadRequest, "The request needs a body.")
	reasonBodyUnexpected = decision.NewReason("validate.body_unexpected", http.StatusBadRequest, "The request takes no body.")
	reasonBodyInvalid    = decision.NewReason("validate.body_invalid", http.StatusUnprocessableEntity, "The request body is not as documented.")

	reasonContentType = decision.NewReason("validate.content_type", http.StatusUnsupportedMediaType, "The content type of the request is not accepted.")
	reasonCharset     = decision.NewReason("validate.charset", http.StatusUnsupportedMediaType, "The character set of the request is not accepted.")
	reasonCoding      = decision.NewReason("validate.content_coding", http.StatusUnsupportedMediaType, "The content coding of the request is not accepted.")
	reasonUndecodable = decision.NewReason("validate.undecodable", http.StatusBadRequest, "The request body cannot be decoded.")

	reasonPath   = decision.NewReason("validate.path", http.StatusNotFound, "The path is not documented.")
	reasonNoCall = decision.NewReason("validate.operation", http.StatusMethodNotAllowed, titleMethod)
	reasonCost   = decision.NewReason("validate.cost", http.StatusUnprocessableEntity, "The request takes too long to check.")
)

var queryReasons = map[param.Fault]*decision.Reason{
	param.Missing:     decision.NewReason("validate.query_missing", http.StatusBadRequest, "A required query parameter is missing."),
	param.Unknown:     decision.NewReason("validate.query_unknown", http.StatusBadRequest, "The query has a parameter that is not known."),
	param.Repeated:    decision.NewReason("validate.query_repeated", http.StatusBadRequest, "A query parameter occurs too often."),
	param.TooMany:     decision.NewReason("validate.query_count", http.StatusBadRequest, "The query has too many parameters."),
	param.WrongType:   decision.NewReason("validate.query_type", http.StatusUnprocessableEntity, "A query parameter is not of its type."),
	param.OutOfRange:  decision.NewReason("validate.query_range", http.StatusUnprocessableEntity, "A query parameter is out of its range."),
	param.WrongLength: decision.NewReason("validate.query_length", http.StatusUnprocessableEntity, "A query parameter has a length that is not accepted."),
	param.NoMatch:     decision.NewReason("validate.query_pattern", http.StatusUnprocessableEntity, "A query parameter does not have its form."),
	param.NotListed:   decision.NewReason("validate.query_enum", http.StatusUnprocessableEntity, "A query parameter is none of the accepted values."),
}

var jsonReasons = map[jsonscan.Kind]*decision.Reason{
	jsonscan.Syntax:       decision.NewReason("validate.json_syntax", http.StatusBadRequest, "The request body is not JSON."),
	jsonscan.Encoding:     decision.NewReason("validate.json_encoding", http.StatusBadRequest, "The JSON is not UTF-8 or has half a surrogate pair."),
	jsonscan.Depth:        decision.NewReason("validate.json_depth", http.StatusBadRequest, "The JSON is nested too deeply."),
	jsonscan.Duplicate:    decision.NewReason("validate.json_duplicate_key", http.StatusBadRequest, "A JSON object has a name twice."),
	jsonscan.Members:      decision.NewReason("validate.json_keys", http.StatusBadRequest, "A JSON object has too many members."),
	jsonscan.Items:        decision.NewReason("validate.json_items", http.StatusBadRequest, "A JSON array has too many items."),
	jsonscan.StringLength: decision.NewReason("validate.json_string", http.StatusBadRequest, "A JSON string is too long."),
	jsonscan.Number:       decision.NewReason("validate.json_number", http.StatusBadRequest, "A JSON number is too long or too large."),
}

var parameterReasons = map[openapi.Fault]*decision.Reason{
	openapi.Missing:  decision.NewReason("validate.parameter_missing", http.StatusBadRequest, "A required parameter is missing."),
	openapi.Repeated: decision.NewReason("validate.parameter_repeated", http.StatusBadRequest, "A parameter occurs too often."),
	openapi.Invalid:  decision.NewReason("validate.parameter_invalid", http.StatusUnprocessableEntity, "A parameter is not as documented."),
	openapi.Costly:   reasonCost,
}

// finding is why a request is refused. The zero value refuses nothing.
type finding struct {
	reason *decision.Reason
	detail *decision.Detail
	cause  error  // for the log
	allow  string // the methods, for the Allow field
}

func aboutParameter(reason *decision.Reason, name string) finding {
	if name == "" {
		return finding{reason: reason}
	}
	return finding{reason: reason, detail: &decision.Detail{Member: "parameter", Text: name}}
}

func aboutPointer(reason *decision.Reason, pointer string) finding {
	return finding{reason: reason, detail: &decision.Detail{Member: "pointer", Text: pointer}}
}

func aboutJSON(e *jsonscan.Error) finding {
	return finding{reason: jsonReasons[e.Kind], detail: &decision.Detail{Member: "offset", Number: e.Offset, IsNumber: true}}
}

// err is the cause for Deny.
func (f finding) err() error {
	if f.detail != nil {
		return f.detail
	}
	return f.cause
}
