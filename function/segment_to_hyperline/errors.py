"""The errors of this package, and the modules that define and raise them.

    Error (errors)
    ├── InputError (archive.files)
    │   └── NothingReceived (archive.files)
    ├── AwsError (aws.clients)
    ├── ConfigError (config)
    ├── TooManyEvents (daily_check.time_needed)
    ├── DeadlineExceeded (deadline)
    ├── Unread (doctor.findings)
    ├── Undecided (doctor.probe.sandbox)
    ├── MalformedBody (elements)
    ├── PreviousSecretError (gatekeeper)
    ├── UrlError (hyperline.url)
    ├── FunctionError (mapping.arguments)
    │   └── ArgumentError (mapping.arguments)
    ├── ArithmeticProblem (mapping.arithmetic)
    ├── TextTooLong (mapping.compression)
    ├── UnmappableEvent (mapping.expressions)
    ├── MappingFileError (mapping.mistakes)
    ├── ExpressionError (mapping.validation)
    ├── TooManySteps (mapping.work)
    ├── BuildError (mapping_tests.build)
    ├── MappingTestsError (mapping_tests.file)
    ├── TooManyRows (reconciliation.api.events)
    ├── AccessError (reconciliation.api.failures)
    │   ├── Forbidden (reconciliation.api.failures)
    │   ├── InvalidKey (reconciliation.api.failures)
    │   └── Rejected (reconciliation.api.failures)
    ├── HyperlineUnavailable (reconciliation.api.failures)
    ├── TooManyDifferences (reconciliation.compare)
    ├── SecretError (secret)
    ├── AuthenticationError (segment.authentication)
    └── RefusedRequest (studio.server)

The outcome of a single event is a result, and not an error: see outcomes.py.
"""


class Error(Exception):
    """The base class of the errors that this package raises."""
