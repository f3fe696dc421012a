"""What the platform allows one workflow and one execution (cloud.google.com/workflows/quotas)."""

from datetime import timedelta
from typing import Final

# Of the definition.
MAX_SOURCE_BYTES: Final = 128 << 10  # "source code size"
MAX_EXPRESSION_CHARACTERS: Final = 400  # "expression length"
MAX_ASSIGNMENTS: Final = 50  # in one assign step
MAX_CONDITIONS: Final = 50  # in one switch step
MAX_BRANCHES: Final = 10  # in one parallel step
MAX_PARALLEL_NESTING: Final = 2  # parallel steps within each other
MAX_ENVIRONMENT_VARIABLES: Final = 20  # of the user's own
MAX_ENVIRONMENT_VALUE_BYTES: Final = 4 << 10

# Of an execution.
MAX_ARGUMENT_BYTES: Final = 32 << 10  # executions_v1.types.Execution.argument: "The size limit is 32KB"
MAX_VARIABLES_BYTES: Final = 512 << 10  # all variables together
MAX_STRING_BYTES: Final = 256 << 10  # one string, as UTF-8
MAX_STEPS: Final = 100_000  # those that are run, each time
MAX_CALL_DEPTH: Final = 20  # subworkflows that wait for each other
MAX_CONCURRENT_BRANCHES: Final = 20  # branches and iterations of one parallel step that run at a time
MAX_BRANCH_ERRORS: Final = 100  # unhandled errors of one execution's branches that are told

# Of a call.
MAX_RESPONSE_BYTES: Final = 2 << 20  # body of an HTTP response
MAX_HTTP_TIMEOUT: Final = timedelta(seconds=1_800)  # the default too
MAX_SLEEP: Final = timedelta(days=365)  # "the latest allowed time is one year from now"
