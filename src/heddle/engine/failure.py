"""How an attempt at a stage comes to nothing."""


class Failure(Exception):
    """An attempt that came to nothing, as a StageFailed to be recorded."""

    def __init__(self, reason: str, detail: str, evidence: str = "") -> None:
        super().__init__(detail)
        self.reason, self.detail, self.evidence = reason, detail, evidence
