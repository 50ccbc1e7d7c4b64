"""The dial plan: analysis of caller and called number, refinement per outgoing group, transitions, routing groups."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.records.base import Record, Shown
from app.records.types import MAX_ID, GroupStrategy, HeaderText, Number, RouteType, TransitionType

TARGET_TABLES = {
    "local_user": "local_users",
    "external_line": "external_lines",
    "sip_trunk": "sip_trunks",
    "routing_group": "routing_groups",
}
"""Route type -> the table that its target is in."""

ZERO_TARGETS = {"external_line": "any free shared line", "sip_trunk": "choose one", "routing_group": "choose one"}
"""Route type -> what no target means, where it is not that the number itself names a local user."""

TransitionId = Annotated[
    int,
    Field(ge=0, le=MAX_ID),
    Shown("&Transition", "How the number is changed.", zero="no change", refers_to="number_transitions"),
]
Prefix = Annotated[
    Number,
    Shown(
        "&Prefix",
        "The first digits of the number; the longest prefix that fits wins.",
        blank="any number",
        example="13",
    ),
]


class AnalyzeCallerNumber(Record):
    """Changes the caller's number before the called number is analyzed."""

    table: ClassVar[str] = "analyze_caller_numbers"
    title: ClassVar[str] = "caller number record"
    plural: ClassVar[str] = "Analyze caller number"
    unique_together: ClassVar[tuple[str, ...]] = ("prefix",)
    introduction: ClassVar[str] = "Looks at who calls and may change the number that is shown from there on."

    prefix: Prefix
    transition_id: TransitionId = 0

    def detail(self) -> str:
        return self.prefix or "any number"


class AnalyzeCalledNumber(Record):
    """Says where a called number goes."""

    table: ClassVar[str] = "analyze_called_numbers"
    title: ClassVar[str] = "called number record"
    plural: ClassVar[str] = "Analyze called number"
    unique_together: ClassVar[tuple[str, ...]] = ("prefix",)
    introduction: ClassVar[str] = (
        "Says where a dialled number goes: prefix 13 to SIP trunk 1 sends every number that begins with 13 there. "
        "A number that no record fits is a local user's."
    )

    prefix: Prefix
    route_type: Annotated[RouteType, Shown("&Route type", "What the number leads to.")] = RouteType.LOCAL_USER
    target_id: Annotated[
        int,
        Field(ge=0, le=MAX_ID),
        Shown(
            "Tar&get",
            "The trunk, line, group or user.",
            zero="the number itself",
            zero_each=ZERO_TARGETS,
            refers_by="route_type",
            refers_to_each=TARGET_TABLES,
        ),
    ] = 0
    transition_id: TransitionId = 0
    call_level: Annotated[
        int,
        Field(ge=0, le=999999),
        Shown("Call &level", "Only users with this level may call it.", zero="everyone"),
    ] = 0
    call_level_outside_hours: Annotated[
        int,
        Field(ge=0, le=999999),
        Shown(
            "Call level outside &hours",
            "Needed instead outside the business hours in System: so abroad is closed at night to all but a few.",
            zero="the same as within them",
            column=False,
        ),
    ] = 0
    counts_as_external: Annotated[
        bool,
        Shown(
            "Counts as e&xternal",
            "Off for emergency numbers and offices of your own: such calls count for no limit of external calls, and "
            "a caller that is stopped may make them.",
            column=False,
        ),
    ] = True

    @model_validator(mode="after")
    def _target_needed(self) -> AnalyzeCalledNumber:
        if self.target_id == 0 and self.route_type in (RouteType.SIP_TRUNK, RouteType.ROUTING_GROUP):
            raise ValueError("target_id: must name the SIP trunk or routing group that takes the call")
        return self

    def detail(self) -> str:
        return self.prefix or "any number"


class _Refinement(Record):
    """What both refine tables share."""

    unique_together: ClassVar[tuple[str, ...]] = ("outgoing_group_id", "prefix")

    outgoing_group_id: Annotated[
        int, Field(ge=1, le=999999), Shown("Outgoing &group", "Trunks and lines of this group use the record.")
    ]
    prefix: Prefix
    transition_id: TransitionId = 0

    def detail(self) -> str:
        return f"group {self.outgoing_group_id}: {self.prefix or 'any number'}"


class RefineCallerNumber(_Refinement):
    """Changes the caller's number on the way out of a group's trunks and lines."""

    table: ClassVar[str] = "refine_caller_numbers"
    title: ClassVar[str] = "caller refinement"
    plural: ClassVar[str] = "Refine caller number"
    introduction: ClassVar[str] = "Changes the caller's number once the trunk or line is known, by its outgoing group."


class RefineCalledNumber(_Refinement):
    """Changes the called number on the way out of a group's trunks and lines."""

    table: ClassVar[str] = "refine_called_numbers"
    title: ClassVar[str] = "called refinement"
    plural: ClassVar[str] = "Refine called number"
    introduction: ClassVar[str] = "Changes the called number once the trunk or line is known, by its outgoing group."


class NumberTransition(Record):
    """A change of digits, used by the other dial-plan records."""

    table: ClassVar[str] = "number_transitions"
    title: ClassVar[str] = "number transition"
    plural: ClassVar[str] = "Transition"
    introduction: ClassVar[str] = "A transition replaces, inserts or deletes digits; other records name it by its ID."

    type: Annotated[TransitionType, Shown("&Type", "What is done to the number.")] = TransitionType.REPLACE
    start: Annotated[int, Field(ge=0, le=128), Shown("&Start", "The first digit is at 0.", zero="at the beginning")] = 0
    length: Annotated[
        int,
        Field(ge=0, le=128),
        Shown("&Length", "How many digits are replaced or deleted.", unit="digits", zero="none"),
    ] = 0
    digits: Annotated[Number, Shown("Di&gits", "What is put in.", blank="none")] = ""

    def detail(self) -> str:
        if self.type is TransitionType.INSERT:
            return f"insert {self.digits} at {self.start}"
        if self.type is TransitionType.DELETE:
            return f"delete {self.length} from {self.start}"
        return f"replace {self.length} from {self.start} by {self.digits or 'nothing'}"


class RoutingGroupMember(BaseModel):
    """A trunk or line in a routing group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    route_type: Annotated[RouteType, Shown("Type", "SIP trunk or external line.")] = RouteType.SIP_TRUNK
    target_id: Annotated[
        int,
        Field(ge=1, le=MAX_ID),
        Shown(
            "Target",
            "The trunk or line.",
            refers_by="route_type",
            refers_to_each={"sip_trunk": "sip_trunks", "external_line": "external_lines"},
        ),
    ]
    priority: Annotated[int, Field(ge=1, le=1000), Shown("Priority", "1 is tried first.")] = 1
    weight: Annotated[int, Field(ge=1, le=1000), Shown("Weight", "Its share among equals (weighted).")] = 1

    @field_validator("route_type")
    @classmethod
    def _trunk_or_line(cls, value: RouteType) -> RouteType:
        if value not in (RouteType.SIP_TRUNK, RouteType.EXTERNAL_LINE):
            raise ValueError("must be sip_trunk or external_line")
        return value


class RoutingGroup(Record):
    """Several ways out under one name."""

    table: ClassVar[str] = "routing_groups"
    title: ClassVar[str] = "routing group"
    plural: ClassVar[str] = "Routing groups"
    introduction: ClassVar[str] = (
        "A routing group spreads calls over several trunks and lines; full or down ones are passed over."
    )

    name: Annotated[HeaderText, Shown("&Name", "Your name for the group.", blank="none")] = ""
    strategy: Annotated[GroupStrategy, Shown("&Strategy", "In which order the members are tried.")] = (
        GroupStrategy.PRIORITY
    )
    members: Annotated[
        tuple[RoutingGroupMember, ...],
        Field(max_length=256),
        Shown("&Members", "The trunks and lines of the group.", blank="none"),
    ] = ()

    def detail(self) -> str:
        return self.name
