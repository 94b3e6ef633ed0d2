package framing

// Class says how far a request is from having one reading. The order is that of
// the danger.
type Class uint8

// The classes, in the meaning of AWS's desync mitigation mode.
const (
	// Compliant requests follow RFC 9112 and have one reading.
	Compliant Class = iota
	// Acceptable requests do not follow it, but end in the same place for
	// everybody.
	Acceptable
	// Ambiguous requests may end elsewhere for another server.
	Ambiguous
	// Severe requests have no end one could name, or are an attack.
	Severe
)

// String returns the class in lower case.
func (c Class) String() string {
	return [...]string{"compliant", "acceptable", "ambiguous", "severe"}[c]
}

// Reason says what about a request put it into its class.
type Reason uint8

// The reasons. Where AWS publishes a code for the same thing, the name is that
// code; its class is never below AWS's.
const (
	None Reason = iota

	// Acceptable.
	LeadingEmptyLine
	SpaceInURI
	NonCompliantVersion
	NonCompliantHeader
	GetHeadZeroContentLength

	// Ambiguous.
	AmbiguousURI
	AbsoluteFormURI
	ConnectMethod
	NonCRLFLineTermination
	MultilineHeader
	MissingHeaderColon
	EmptyHeader
	SuspiciousHeader
	AmbiguousContentLength
	DuplicateContentLength
	UndefinedContentLengthSemantics
	AmbiguousTransferEncoding
	UndefinedTransferEncodingSemantics
	BothTeClPresent

	// Severe.
	BadMethod
	MissingURI
	BadURI
	BadVersion
	BadHeader
	BadContentLength
	MultipleContentLength
	BadTransferEncoding
	MultipleTransferEncodingChunked
	BadChunkSize
	BadChunkExtension
	BadChunkData
	BadTrailer

	// Reasons is their number.
	Reasons
)

var reasons = [Reasons]struct {
	name  string
	class Class
}{
	None: {"Compliant", Compliant},

	LeadingEmptyLine:         {"LeadingEmptyLine", Acceptable},
	SpaceInURI:               {"SpaceInUri", Acceptable},
	NonCompliantVersion:      {"NonCompliantVersion", Acceptable},
	NonCompliantHeader:       {"NonCompliantHeader", Acceptable},
	GetHeadZeroContentLength: {"GetHeadZeroContentLength", Acceptable},

	AmbiguousURI:                       {"AmbiguousUri", Ambiguous},
	AbsoluteFormURI:                    {"AbsoluteFormUri", Ambiguous},
	ConnectMethod:                      {"ConnectMethod", Ambiguous},
	NonCRLFLineTermination:             {"NonCrLfLineTermination", Ambiguous},
	MultilineHeader:                    {"MultilineHeader", Ambiguous},
	MissingHeaderColon:                 {"MissingHeaderColon", Ambiguous},
	EmptyHeader:                        {"EmptyHeader", Ambiguous},
	SuspiciousHeader:                   {"SuspiciousHeader", Ambiguous},
	AmbiguousContentLength:             {"AmbiguousContentLength", Ambiguous},
	DuplicateContentLength:             {"DuplicateContentLength", Ambiguous},
	UndefinedContentLengthSemantics:    {"UndefinedContentLengthSemantics", Ambiguous},
	AmbiguousTransferEncoding:          {"AmbiguousTransferEncoding", Ambiguous},
	UndefinedTransferEncodingSemantics: {"UndefinedTransferEncodingSemantics", Ambiguous},
	BothTeClPresent:                    {"BothTeClPresent", Ambiguous},

	BadMethod:                       {"BadMethod", Severe},
	MissingURI:                      {"MissingUri", Severe},
	BadURI:                          {"BadUri", Severe},
	BadVersion:                      {"BadVersion", Severe},
	BadHeader:                       {"BadHeader", Severe},
	BadContentLength:                {"BadContentLength", Severe},
	MultipleContentLength:           {"MultipleContentLength", Severe},
	BadTransferEncoding:             {"BadTransferEncoding", Severe},
	MultipleTransferEncodingChunked: {"MultipleTransferEncodingChunked", Severe},
	BadChunkSize:                    {"BadChunkSize", Severe},
	BadChunkExtension:               {"BadChunkExtension", Severe},
	BadChunkData:                    {"BadChunkData", Severe},
	BadTrailer:                      {"BadTrailer", Severe},
}

// String returns the reason's code, as in AWS's access logs.
func (r Reason) String() string { return reasons[r].name }

// Class returns the class that r alone puts a request into.
func (r Reason) Class() Class { return reasons[r].class }
