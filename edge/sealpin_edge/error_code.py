"""What the station reports of itself, as the numbers that a PLC reads."""

from enum import IntEnum


class ErrorCode(IntEnum):
    """Why a part was not inspected, or none can be; edge/PLC.md says what to do about each."""

    NONE = 0
    CAMERA = 1
    INFERENCE = 2
    DEADLINE = 3
    RESULT_NOT_ACKNOWLEDGED = 4
    PLC_SILENT = 5
    VERDICT_NOT_TAKEN = 6
    OVERTAKEN = 7
    WRONG_RECIPE = 8
    NOT_RECORDED = 9
    TOO_DARK = 10
    TOO_BRIGHT = 11
    OUT_OF_FOCUS = 12
    NO_PART = 13
    WRONG_SIZE = 14
    FROZEN = 15
    FOREIGN_WRITER = 16
    ACK_STUCK = 17
    NOT_TAUGHT = 18
    MISSED_TRIGGER = 19

    @property
    def words(self) -> str:
        """As people read it; empty for NONE."""
        return self.name.lower().replace("_", " ") if self else ""
