"""Paths and methods that Bedrock Runtime does not have."""

from tests.fidelity.case import GUESS, Case
from tests.fidelity.identifiers import HERE
from tests.support.servers import SEVEN_B

UNKNOWN = (
    b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}'
)
THRICE = "an AWS sample's helper, and two clients' sources"
ONE = ("invoke",)
ARN = f"arn:aws:bedrock:us-east-1::foundation-model/{SEVEN_B}"  # with an unencoded slash

TABLE = [
    Case(
        name="an unknown path, and nobody known",
        seen=GUESS,
        why="Coral looks for the operation first",
        service="sigv4",
        signer=None,
        path="/nowhere",
        operations=ONE,
        answer=UNKNOWN,
        remote=False,
    ),
    *(
        Case(
            name=f"{method} {path}",
            seen=seen,
            method=method,
            path=path,
            operations=ONE,
            body=b"" if method in ("GET", "HEAD", "OPTIONS") else b"{}",
            answer=b"" if method == "HEAD" else UNKNOWN,
        )
        for method, path, seen in (
            ("POST", "/", THRICE),
            ("POST", "/v1/messages", THRICE),
            ("POST", "/nowhere", THRICE),
            ("POST", "/model", GUESS),
            ("POST", f"/model/{SEVEN_B}", GUESS),
            ("POST", f"/model/{SEVEN_B}/invoke/", GUESS),
            ("POST", f"/model/{SEVEN_B}/INVOKE", GUESS),
            ("POST", f"/model/{SEVEN_B}/embed", GUESS),
            ("POST", f"/models/{SEVEN_B}/invoke", GUESS),
            *(
                ("POST", f"/model/{ARN}/{operation}", "vercel/ai#17523")
                for operation in ("invoke", "converse", "converse-stream")
            ),
            *(
                ("POST", f"/model/{own}/converse", "vercel/ai#17523, of a foundation model's")
                for own in (
                    f"{HERE}:application-inference-profile/abcdefghij12",
                    f"{HERE}:provisioned-model/abcdefghij12",
                )
            ),
            ("GET", f"/inference-profiles/{HERE}:inference-profile/us.mistral", GUESS),
            ("GET", f"/foundation-models/{ARN}", GUESS),
            ("GET", "/", GUESS),
            ("GET", f"/model/{SEVEN_B}/invoke", GUESS),
            ("GET", f"/model/{SEVEN_B}/invoke-with-response-stream", GUESS),
            ("PUT", f"/model/{SEVEN_B}/invoke", GUESS),
            ("DELETE", f"/model/{SEVEN_B}/invoke", GUESS),
            ("PATCH", f"/model/{SEVEN_B}/invoke", GUESS),
            ("HEAD", f"/model/{SEVEN_B}/invoke", GUESS),
            ("OPTIONS", f"/model/{SEVEN_B}/invoke", GUESS),
            ("HEAD", "/foundation-models", GUESS),
            ("HEAD", "/guardrails", GUESS),
            ("POST", "/foundation-models", GUESS),
            ("GET", f"/model/{SEVEN_B}/converse", GUESS),
            ("POST", f"/model/{SEVEN_B}/count-tokens/", GUESS),
        )
    ),
]
