"""A notebook and the specification that it meets."""

from notebook_vending.notebooks.notebook import Notebook, NotebookSpec, ownership_tags

ROLE = "arn:aws:iam::123456789012:role/execution"


OURS = ownership_tags("platform", "stack", "Notebook")


NOTEBOOK = Notebook(
    name="analysis",
    arn="arn:aws:sagemaker:us-east-1:123456789012:notebook-instance/analysis",
    status="InService",
    instance_type="ml.t3.medium",
    role_arn=ROLE,
    volume_size_in_gb=20,
    root_access="Disabled",
    platform_identifier="notebook-al2023-v1",
    subnet_id="subnet-1",
    security_group_ids=("sg-1",),
    kms_key_id="key",
    direct_internet_access="Disabled",
    lifecycle_config_name="",
    minimum_metadata_version="2",
    network_interface_id="eni-1",
    url="analysis.notebook.us-east-1.sagemaker.aws",
    failure_reason="",
    tags=OURS,
)


SPEC = NotebookSpec(
    NotebookInstanceName="analysis",
    NotebookInstanceType="ml.t3.medium",
    RoleArn=ROLE,
    KmsKeyId="key",
    Subnet="research",
    SecurityGroupName="notebooks",
)
