"""The functions that an expression can call: JMESPath's and Powertools'.

Pure: no network, no environment, no clock.
https://docs.powertools.aws.dev/lambda/python/latest/utilities/jmespath_functions/
"""

import json
from typing import Any

from aws_lambda_powertools.utilities.jmespath_utils import PowertoolsFunctions
from jmespath.functions import signature


class Functions(PowertoolsFunctions):
    """The functions, as jmespath.py looks them up."""

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> int | float | None:
        # The library's version accepts whatever Python does: "1_000", "nan", " ٣ ".
        # This one accepts JSON's numbers only.
        # https://jmespath.org/specification.html#to-number
        if isinstance(value, str):
            try:
                value = json.loads(value, parse_constant=lambda _: None)
            except (ValueError, RecursionError):
                return None
        return value if type(value) in {int, float} else None
