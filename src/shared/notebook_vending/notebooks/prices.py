"""List prices of running notebooks in us-east-1, for estimates that people read.

On-demand prices of notebook instances in US dollars an hour, without the volume. Other Regions and
contracts have other prices. Looked up in November 2026 in copies of AWS's price page
(https://aws.amazon.com/sagemaker/ai/pricing/). A type that is not listed here has no price.
"""

AS_OF = "2026-11"

_HOURLY = {
    "ml.t3.medium": 0.05,
    "ml.t3.large": 0.10,
    "ml.t3.xlarge": 0.20,
    "ml.t3.2xlarge": 0.399,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.r5.large": 0.151,
    "ml.r5.xlarge": 0.302,
    "ml.r5.2xlarge": 0.605,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g4dn.2xlarge": 0.94,
    "ml.g5.xlarge": 1.408,
    "ml.g5.2xlarge": 1.515,
}


def hourly(instance_type: str) -> float | None:
    """Return the list price of a running notebook in USD an hour, None if it is not known."""
    return _HOURLY.get(instance_type)
