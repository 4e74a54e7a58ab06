"""Which faults are planted, where, and what must catch them."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tactful_lab.audit.faults import patches
from tactful_lab.audit.faults.kinds import HostFault, PlanFault, ServerFault, UpdateFault
from tactful_lab.audit.target import RehearsedTarget
from tactful_privacy.accounting.zcdp import price
from tactful_privacy.audit.faults import SOUND, Check, PlantedFault, audit_difference
from tactful_privacy.secagg.keys import fresh_secret
from tactful_privacy.wire import RoundPlan, Statistic

AUDIT, ESTIMATE, REFUSAL, SELF_TEST = Check.AUDIT, Check.ESTIMATE, Check.REFUSAL, Check.SELF_TEST
SAMPLER = "tactful.federation.participant.sample"
ENCODER = "tactful.federation.participant.encode_block"
GRID = "tactful_privacy.mechanisms.grid"
SESSION = "tactful_privacy.secagg.HostSession"
PLAN = "tactful_server.service.build_plan"
BEHIND = "nothing more leaks, so an audit has nothing to find"


def planted_faults(target: RehearsedTarget) -> Sequence[PlantedFault]:
    """Every fault that can be planted in the target, the sound federation first.

    Args:
        target: one host of it is faulty where a fault is one host's; the last of its roster drops out.
    """
    return [
        _sound(target),
        *_noise(target),
        *_missing(target),
        *_encoding(target),
        *_updates(target),
        *_plans(target),
        *_secure_sum(target),
    ]


def _sound(target: RehearsedTarget) -> PlantedFault:
    return HostFault(
        target=target,
        name=SOUND,
        title="no fault",
        where="nowhere",
        plant=nullcontext,
        stops=True,
        remark="the bound may alarm in one run of twenty, the estimate in one of a hundred",
    )


def _noise(target: RehearsedTarget) -> Sequence[PlantedFault]:
    at: dict[str, Any] = {"target": target, "where": SAMPLER}
    return [
        HostFault(
            **at,
            name="noise_off",
            signs=("noise_scale", "self_test_failed"),
            title="noise off",
            plant=partial(patches.noise, patches.no_noise),
            expected=(SELF_TEST, REFUSAL, AUDIT, ESTIMATE),
            stops=True,
            remark="hosts refuse the round after their self-test; the audit ran with the self-test switched off",
        ),
        HostFault(
            **at,
            name="noise_halved",
            signs=("noise_scale",),
            title="noise halved",
            plant=partial(patches.noise, patches.half_noise),
            expected=(SELF_TEST, AUDIT, ESTIMATE),
        ),
        HostFault(
            **at,
            name="noise_repeated",
            signs=("noise_fresh",),
            title="seed reused across rounds",
            plant=partial(patches.noise, patches.repeated_noise),
            audit=audit_difference,
            expected=(SELF_TEST, AUDIT, ESTIMATE),
            remark="every single round looks right; the audit looks at the difference of two",
        ),
        HostFault(
            **at,
            name="noise_float",
            signs=("sampler_known_answer",),
            title="float noise",
            plant=partial(patches.noise, patches.float_noise),
            expected=(SELF_TEST,),
            remark="right in mean and variance at a plan's scale, so no audit sees it: known answers and sigma² = 1 do",
        ),
        HostFault(
            **at,
            name="noise_biased",
            signs=("sampler_small_sigma",),
            title="sampler biased by one",
            plant=partial(patches.noise, patches.biased_noise),
            expected=(SELF_TEST,),
            remark="a millionth of the noise at a plan's scale: only small sigma and known answers show it",
        ),
        HostFault(
            **(at | {"where": "tactful.federation.participant._noise_of_devices"}),
            name="local_noise_once",
            signs=("local_noise_scale",),
            title="noise of one device only, in the mode in which each adds its own",
            plant=patches.one_devices_noise,
            audit=None,
            expected=(SELF_TEST,),
            remark="the audited federation runs in distributed mode, so no round meets it",
        ),
        HostFault(
            **at,
            name="entropy_stuck",
            signs=("noise", "entropy_failure"),
            title="the source of randomness is stuck",
            plant=partial(patches.noise, patches.stuck_noise),
            audit=None,
            rounds=1,
            expected=(SELF_TEST, REFUSAL),
        ),
    ]


def _missing(target: RehearsedTarget) -> Sequence[PlantedFault]:
    plant = partial(patches.noise, patches.no_noise)
    at: dict[str, Any] = {"target": target, "where": f"{SAMPLER}, on one host", "plant": plant}
    return [
        HostFault(
            **at,
            name="one_noise_missing_within_slack",
            title="one host's noise missing, n_min − t shares remain",
            hosts=(target.setting.names[-1],),
            everybody_stays=True,
            tolerated=(SELF_TEST,),
            remark="no violation: below the claim's slack, which counts n_min − t hosts; that host's self-test sees it",
        ),
        HostFault(
            **at,
            name="one_noise_missing",
            signs=("noise_scale", "self_test_failed"),
            title="one host's noise missing, n_min − t − 1 shares remain",
            hosts=(target.setting.names[target.setting.colluders],),
            stops=True,
            expected=(SELF_TEST, REFUSAL),
            remark="that host refuses, and the round is void; an audit alone sees noise of 0.82 times the claim's",
        ),
    ]


def _encoding(target: RehearsedTarget) -> Sequence[PlantedFault]:
    return [
        HostFault(
            target=target,
            name="clip_off",
            signs=("clip",),
            title="clip off",
            where=f"{GRID}.clip",
            plant=patches.unclipped,
            expected=(SELF_TEST,),
            remark=f"the integer norm check makes over-long rows zero: {BEHIND}",
        ),
        HostFault(
            target=target,
            name="norm_check_skipped",
            signs=("norm_check",),
            title="norm check skipped",
            where=f"{GRID}._within",
            plant=patches.unchecked_norm,
            expected=(SELF_TEST,),
            remark=f"the clip still cuts every row: {BEHIND}",
        ),
        HostFault(
            target=target,
            name="clip_off_and_norm_check_skipped",
            signs=("clip",),
            title="clip off and norm check skipped",
            where=f"{GRID}.clip and {GRID}._within",
            plant=patches.unclipped_and_unchecked,
            expected=(SELF_TEST, AUDIT, ESTIMATE),
        ),
        HostFault(
            target=target,
            name="clip_tripled",
            signs=("clip",),
            title="clip × 3",
            where=ENCODER,
            plant=patches.triple_clip,
            expected=(SELF_TEST, AUDIT, ESTIMATE),
        ),
        HostFault(
            target=target,
            name="weighted",
            signs=("weight_one",),
            title="weight by example count",
            where=ENCODER,
            plant=patches.weighted,
            expected=(SELF_TEST, AUDIT, ESTIMATE),
        ),
        HostFault(
            target=target,
            name="statistic_unbounded",
            signs=("statistic_bounded",),
            title="statistic outside B², in the device",
            where=ENCODER,
            plant=patches.unbounded_statistic,
            audit=None,
            expected=(SELF_TEST,),
            remark="an audit's canaries are no statistics, so it does not look there",
        ),
    ]


def _updates(target: RehearsedTarget) -> Sequence[PlantedFault]:
    host = target.setting.names[target.setting.colluders]

    def with_nan(updates: Any) -> Any:
        return np.where(np.arange(updates.shape[1]) == 3, math.nan, updates)

    return [
        UpdateFault(
            target=target,
            name="nan_update",
            signs=("row_zeroed",),
            title="NaN update",
            where="what local training returns, on one host",
            updates=with_nan,
            host=host,
            expected=(REFUSAL,),
            remark="the rows count as zero, the host answers as ever, and the round is released",
        ),
    ]


def _half_noise_same_price(plan: RoundPlan) -> RoundPlan:
    return replace(plan, noise_variance_units=plan.noise_variance_units // 4)


def _half_noise_true_price(plan: RoundPlan) -> RoundPlan:
    bent = _half_noise_same_price(plan)
    honest = plan.n_min - plan.colluders
    return replace(bent, rho=price(bent.norm_bound_squared, bent.noise_variance_units, honest))


def _statistic_outside(plan: RoundPlan) -> RoundPlan:
    return replace(plan, statistics=(*plan.statistics, Statistic("loss", plan.clip_units)))


def _plans(target: RehearsedTarget) -> Sequence[PlantedFault]:
    at: dict[str, Any] = {"target": target, "where": PLAN, "expected": (REFUSAL,)}
    return [
        PlanFault(
            **at,
            name="plan_noise_halved",
            signs=("wrong_price",),
            title="plan with half the noise at the old price",
            bend=_half_noise_same_price,
        ),
        PlanFault(
            **at,
            name="plan_noise_halved_priced",
            signs=("too_little_noise",),
            title="plan with half the noise at its true price",
            bend=_half_noise_true_price,
        ),
        PlanFault(
            **at,
            name="plan_statistic_outside",
            signs=("wrong_bound",),
            title="statistic outside B², in the plan",
            bend=_statistic_outside,
        ),
    ]


def _secure_sum(target: RehearsedTarget) -> Sequence[PlantedFault]:
    setting = target.setting
    one, absent = setting.names[setting.colluders], setting.names[-1]
    on_one: dict[str, Any] = {"target": target, "hosts": (one,), "audit": None}
    asked: dict[str, Any] = {"target": target, "host": one, "absent": absent, "expected": (REFUSAL,)}
    return [
        HostFault(
            **on_one,
            name="mask_off",
            signs=("mask_uniform",),
            title="masks off",
            where=f"{SESSION}._mask, on one host",
            plant=patches.no_mask,
            expected=(SELF_TEST,),
            remark="the sum which the server opens is useless, as it takes off a mask that is not there",
        ),
        HostFault(
            **on_one,
            name="mask_key_reused",
            signs=("key_fresh", "mask_key_reused"),
            title="mask key re-used",
            where=f"{SESSION}.__init__, on one host",
            plant=partial(patches.reused_mask_key, fresh_secret()),
            rounds=2,
            expected=(SELF_TEST, REFUSAL),
            remark="in its second round all other hosts refuse its key",
        ),
        HostFault(
            **on_one,
            name="both_shares",
            signs=("one_share", "wrong_shape"),
            title="share of both kinds given",
            where=f"{SESSION}._unmasking, on one host",
            plant=patches.both_shares,
            rounds=1,
            expected=(SELF_TEST, REFUSAL),
            remark="the message type cannot hold both, so the host's own reply fails before it leaves",
        ),
        HostFault(
            **on_one,
            name="second_list_answered",
            signs=("one_list",),
            title="second survivor list answered",
            where=f"{SESSION}.answered, on one host",
            plant=patches.forgetful,
            expected=(SELF_TEST,),
            remark="only a hostile server asks, so nothing is to be seen in a round",
        ),
        ServerFault(
            **asked,
            name="second_list_asked",
            signs=("second_survivor_list",),
            title="second survivor list, asked for by the server",
            where="the request of stage sign",
            stage="sign",
        ),
        ServerFault(
            **asked,
            name="both_shares_asked",
            signs=("second_survivor_list",),
            title="share of both kinds, asked for by the server",
            where="the request of stage unmask",
            stage="unmask",
        ),
    ]
