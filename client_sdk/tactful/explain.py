"""Why, for people: the terms of the score, what they are made of, and one sentence in English or Chinese.

Reasons of a scored decision: first the code that decided; then one ``term_…`` each, which add up from the left to
``score_minor`` exactly; then what ``term_value`` is made of (``from_…``): its baseline, the largest contributions, and
all others together. The contributions come from `tactful.attribution`.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from tactful import attribution
from tactful.attribution import Attribution
from tactful.guardrails import openings, zone
from tactful.scoring import Outlook, Scores, forms, message_of, outlook
from tactful.types import Decision, DeviceView, Reason, SlotScore
from tactful_privacy.errors import InvalidInput

LANGUAGES = ("en", "zh")
METHOD = "integrated gradients from the zero baseline (arXiv:1703.01365), closed form"
_LARGEST = 3
_SHOWN_INTEREST = 0.6
# Codes of decisions that the score made; elsewhere a rule decided, and what the score rests on is beside the point.
_SCORED = ("best_now", "try_now", "better_slot", "not_worth_it")


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(lang: str) -> dict[str, str]:
    """Return the messages of a language by reason code; raises `InvalidInput` for one that is not spoken."""
    if lang not in LANGUAGES:
        raise InvalidInput(f"must be one of {', '.join(LANGUAGES)}, not {lang!r}", field="lang")
    text = files("tactful").joinpath("messages", f"{lang}.json").read_text(encoding="utf-8")
    messages: dict[str, str] = json.loads(text)
    return messages


def reasons(view: DeviceView, ahead: Outlook, scores: Scores, index: int, worth_minor: float) -> tuple[Reason, ...]:
    """Return the terms of S in one opening and what the value term is made of."""
    terms = tuple(Reason(f"term_{name}", amount) for name, amount in scores.terms(index))
    worth_minor *= float(ahead.value_factor[index])
    return terms + _largest(attribution.delta_p(view, ahead, index).scaled(worth_minor))


def _largest(parts: Attribution) -> tuple[Reason, ...]:
    sizes = np.abs(parts.contributions)
    order = np.argsort(-sizes, kind="stable")[:_LARGEST]
    shown = [int(i) for i in order if sizes[i] > 0]
    named = tuple(Reason("from_feature", float(parts.contributions[i]), (("feature", parts.names[i]),)) for i in shown)
    rest = np.delete(parts.contributions, shown)
    return (Reason("from_baseline", parts.baseline), *named, Reason("from_others", float(rest.sum())))


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything behind one decision: ``terms`` add up to ``score_minor``, ``value`` and ``opt_out`` to their terms."""

    decision: Decision
    terms: tuple[tuple[str, float], ...]
    value: tuple[tuple[str, float], ...] = ()
    opt_out: tuple[tuple[str, float], ...] = ()
    method: str = METHOD

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, with both sentences."""
        decision = self.decision
        return {
            "decision_id": decision.id,
            "action": decision.action,
            "basis": decision.basis,
            "codes": [r.code for r in decision.reasons if not r.code.startswith(("term_", "from_"))],
            "score_minor": decision.score_minor,
            "terms_minor": dict(self.terms),
            "value_minor": dict(self.value),
            "opt_out_minor": dict(self.opt_out),
            "method": self.method,
            "text": {lang: sentence(decision, lang) for lang in LANGUAGES},
        }


def explain(decision: Decision, view: DeviceView | None = None) -> Explanation:
    """Explain a decision from its own record, or in full where the view that it was made from is at hand."""
    terms = tuple((r.code[5:], r.contribution or 0.0) for r in decision.reasons if r.code.startswith("term_"))
    index = None if view is None or not terms else _opening_of(decision, view)
    if view is None or index is None:
        return Explanation(decision, terms, _recorded(decision))
    ahead = outlook(view, forms(view, openings(view)), message=message_of(decision.candidate))
    worth = float(dict(decision.reasons[0].detail)["worth_minor"]) * float(ahead.value_factor[index])
    value = attribution.delta_p(view, ahead, index).scaled(worth)
    opt_out = attribution.delta_h(view, ahead, index).scaled(-view.settings.opt_out_cost_minor)
    return Explanation(decision, terms, _pairs(value), _pairs(opt_out))


def _recorded(decision: Decision) -> tuple[tuple[str, float], ...]:
    parts = [r for r in decision.reasons if r.code.startswith("from_")]
    return tuple((dict(r.detail).get("feature", r.code[5:]), r.contribution or 0.0) for r in parts)


def _pairs(parts: Attribution) -> tuple[tuple[str, float], ...]:
    named = zip(parts.names, map(float, parts.contributions), strict=True)
    return (("baseline", parts.baseline), *(pair for pair in named if pair[1] != 0.0))


def _opening_of(decision: Decision, view: DeviceView) -> int | None:
    return openings(view).index_of((decision.at or decision.created_at).timestamp())


def sentence(decision: Decision, lang: str = "en") -> str:
    """Say a decision in one or two sentences that the person concerned understands."""
    messages = catalogue(lang)
    facts = {"category": decision.candidate.category if decision.candidate else "", "time": ""}
    if decision.at is not None:
        facts["time"] = _clock(decision.at, decision.created_at, decision.timezone, lang)
    code = decision.reasons[0].code if decision.reasons else "internal_error"
    said = [messages[f"action_{decision.action}"].format(**facts), messages[code].format(**facts)]
    said += [messages[r.code].format(**facts) for r in decision.reasons[1:] if r.code.startswith("no_")]
    said += _possible(decision, messages, lang)
    if decision.action == "send" and code in _SCORED:
        said.append(messages["interest_shown"].format(**facts) if _interest(decision) >= _SHOWN_INTEREST else "")
        said.append(_because(decision.reasons, messages))
    if code in _SCORED and decision.basis == "prior":
        said.append(messages["basis_prior"])
    return messages["joint"].join(part for part in said if part)


def _interest(decision: Decision) -> float:
    return float(dict(decision.reasons[0].detail).get("interest", 0.0))


def _possible(decision: Decision, messages: dict[str, str], lang: str) -> list[str]:
    facts = dict(decision.reasons[0].detail) if decision.reasons else {}
    if decision.action != "quiet" or "possible_from" not in facts:
        return []
    at = datetime.fromisoformat(facts["possible_from"])
    return [messages["possible_from"].format(time=_clock(at, decision.created_at, decision.timezone, lang))]


def slot_sentence(slot: SlotScore, lang: str = "en") -> str:
    """Say why the week's plan uses a slot or does not."""
    messages = catalogue(lang)
    local = slot.at.astimezone(zone(slot.timezone))
    facts = {"time": f"{messages[f'weekday_{local.weekday()}']} {local:%H:%M}", "category": ""}
    said = [messages["slot"].format(**facts), messages[slot.reasons[0].code].format(**facts)]
    said.append(_because(slot.reasons, messages) if slot.chosen else "")
    return messages["joint"].join(part for part in said if part)


def _because(reasons_given: tuple[Reason, ...], messages: dict[str, str]) -> str:
    """Name the largest contribution in favour, if there is one."""
    helping = [r for r in reasons_given if r.code == "from_feature" and (r.contribution or 0) > 0]
    if not helping:
        return ""
    feature = dict(max(helping, key=lambda r: r.contribution or 0).detail)["feature"]
    said = messages.get(f"feature_{feature}")
    return messages["because"].format(feature=said) if said else messages["because_habits"]


def _clock(at: datetime, created_at: datetime, timezone: str, lang: str) -> str:
    local, today = at.astimezone(zone(timezone)), created_at.astimezone(zone(timezone)).date()
    messages, days = catalogue(lang), (local.date() - today).days
    day = {0: messages["today"], 1: messages["tomorrow"]}.get(days, messages[f"weekday_{local.weekday()}"])
    return f"{day} {local:%H:%M}"
