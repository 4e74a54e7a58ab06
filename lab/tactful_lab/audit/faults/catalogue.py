"""Which faults are planted, where, by what they are known, and what must catch them."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np

from tactful_lab.audit.faults import patches
from tactful_lab.audit.faults.kinds import HostFault, PlanFault, ServerFault, UpdateFault, Vectors, last, one
from tactful_lab.audit.target import RehearsedTarget
from tactful_privacy.accounting.zcdp import price
from tactful_privacy.audit.faults import SOUND, Check, PlantedFault, audit_difference
from tactful_privacy.secagg.keys import fresh_secret
from tactful_privacy.wire import RoundPlan, Statistic

AUDIT, ESTIMATE, REFUSAL, SELF_TEST = Check.AUDIT, Check.ESTIMATE, Check.REFUSAL, Check.SELF_TEST
PARTICIPANT = "tactful.federation.participant"
SAMPLER = f"{PARTICIPANT}.sample"
ENCODER = f"{PARTICIPANT}.encode_block"
GRID = "tactful_privacy.mechanisms.grid"
SESSION = "tactful_privacy.secagg.HostSession"
PLAN = "tactful_server.service.build_plan"
BEHIND = "nothing more leaks, so an audit has nothing to find"

Maker = Callable[..., PlantedFault]


def planted_faults(target: RehearsedTarget) -> Sequence[PlantedFault]:
    """Every fault that can be planted in the target, the sound federation first."""
    makers = (NO_FAULT, *NOISE, *MISSING_NOISE, *ENCODING, NAN, *PLANS, *SECURE_SUM)
    return [make(target=target) for make in makers]


NO_FAULT: Maker = partial(
    HostFault,
    name=SOUND,
    title="no fault",
    where="nowhere",
    plant=nullcontext,
    stops=True,
    remark="the bound may alarm in one run of twenty, the estimate in one of a hundred",
)

NOISE: tuple[Maker, ...] = (
    partial(
        HostFault,
        name="noise_off",
        title="noise off",
        where=SAMPLER,
        plant=partial(patches.noise, patches.no_noise),
        expected=(SELF_TEST, REFUSAL, AUDIT, ESTIMATE),
        signs=("noise_scale", "self_test_failed"),
        stops=True,
        remark="hosts refuse the round after their self-test; the audit ran with the self-test switched off",
    ),
    partial(
        HostFault,
        name="noise_halved",
        title="noise halved",
        where=SAMPLER,
        plant=partial(patches.noise, patches.half_noise),
        expected=(SELF_TEST, AUDIT, ESTIMATE),
        signs=("noise_scale",),
    ),
    partial(
        HostFault,
        name="noise_repeated",
        title="seed reused across rounds",
        where=SAMPLER,
        plant=partial(patches.noise, patches.repeated_noise),
        audit=audit_difference,
        expected=(SELF_TEST, AUDIT, ESTIMATE),
        signs=("noise_fresh",),
        remark="every single round looks right; the audit looks at the difference of two",
    ),
    partial(
        HostFault,
        name="noise_float",
        title="float noise",
        where=SAMPLER,
        plant=partial(patches.noise, patches.float_noise),
        expected=(SELF_TEST,),
        signs=("sampler_known_answer",),
        remark="right in mean and variance at a plan's scale, so no audit sees it: known answers and σ² = 1 do",
    ),
    partial(
        HostFault,
        name="noise_biased",
        title="sampler biased by one",
        where=SAMPLER,
        plant=partial(patches.noise, patches.biased_noise),
        expected=(SELF_TEST,),
        signs=("sampler_small_sigma",),
        remark="a millionth of the noise at a plan's scale: only small σ and known answers show it",
    ),
    partial(
        HostFault,
        name="local_noise_once",
        title="noise of one device only, in the mode in which each adds its own",
        where=f"{PARTICIPANT}._noise_of_devices",
        plant=patches.one_devices_noise,
        audit=None,
        expected=(SELF_TEST,),
        signs=("local_noise_scale",),
        remark="the audited federation runs in distributed mode, so no round meets it",
    ),
    partial(
        HostFault,
        name="entropy_stuck",
        title="the source of randomness is stuck",
        where=SAMPLER,
        plant=partial(patches.noise, patches.stuck_noise),
        audit=None,
        rounds=1,
        expected=(SELF_TEST, REFUSAL),
        signs=("noise", "entropy_failure"),
    ),
)

MISSING_NOISE: tuple[Maker, ...] = (
    partial(
        HostFault,
        name="one_noise_missing_within_slack",
        title="one host's noise missing, n_min − t shares remain",
        where=f"{SAMPLER}, on one host",
        plant=partial(patches.noise, patches.no_noise),
        hosts=last,
        everybody_stays=True,
        tolerated=(SELF_TEST,),
        remark="no violation: below the claim's slack, which counts n_min − t hosts; that host's self-test sees it",
    ),
    partial(
        HostFault,
        name="one_noise_missing",
        title="one host's noise missing, n_min − t − 1 shares remain",
        where=f"{SAMPLER}, on one host",
        plant=partial(patches.noise, patches.no_noise),
        hosts=one,
        stops=True,
        expected=(SELF_TEST, REFUSAL),
        signs=("noise_scale", "self_test_failed"),
        remark="that host refuses, and the round is void; an audit alone sees noise of 0.82 times the claim's",
    ),
)

ENCODING: tuple[Maker, ...] = (
    partial(
        HostFault,
        name="clip_off",
        title="clip off",
        where=f"{GRID}.clip",
        plant=patches.unclipped,
        expected=(SELF_TEST,),
        signs=("clip",),
        remark=f"the integer norm check makes over-long rows zero: {BEHIND}",
    ),
    partial(
        HostFault,
        name="norm_check_skipped",
        title="norm check skipped",
        where=f"{GRID}._within",
        plant=patches.unchecked_norm,
        expected=(SELF_TEST,),
        signs=("norm_check",),
        remark=f"the clip still cuts every row: {BEHIND}",
    ),
    partial(
        HostFault,
        name="clip_off_and_norm_check_skipped",
        title="clip off and norm check skipped",
        where=f"{GRID}.clip and {GRID}._within",
        plant=patches.unclipped_and_unchecked,
        expected=(SELF_TEST, AUDIT, ESTIMATE),
        signs=("clip",),
    ),
    partial(
        HostFault,
        name="clip_tripled",
        title="clip × 3",
        where=ENCODER,
        plant=patches.triple_clip,
        expected=(SELF_TEST, AUDIT, ESTIMATE),
        signs=("clip",),
    ),
    partial(
        HostFault,
        name="weighted",
        title="weight by example count",
        where=ENCODER,
        plant=patches.weighted,
        expected=(SELF_TEST, AUDIT, ESTIMATE),
        signs=("weight_one",),
    ),
    partial(
        HostFault,
        name="statistic_unbounded",
        title="statistic outside B², in the device",
        where=ENCODER,
        plant=patches.unbounded_statistic,
        audit=None,
        expected=(SELF_TEST,),
        signs=("statistic_bounded",),
        remark="an audit's canaries are no statistics, so it does not look there",
    ),
)


def _with_nan(updates: Vectors) -> Vectors:
    return np.where(np.arange(updates.shape[1]) == 3, math.nan, updates)


NAN: Maker = partial(
    UpdateFault,
    name="nan_update",
    title="NaN update",
    where="what local training returns, on one host",
    updates=_with_nan,
    expected=(REFUSAL,),
    signs=("row_zeroed",),
    remark="the rows count as zero, the host answers as ever, and the round is released",
)


def _half_noise_same_price(plan: RoundPlan) -> RoundPlan:
    return replace(plan, noise_variance_units=plan.noise_variance_units // 4)


def _half_noise_true_price(plan: RoundPlan) -> RoundPlan:
    bent = _half_noise_same_price(plan)
    honest = plan.n_min - plan.colluders
    return replace(bent, rho=price(bent.norm_bound_squared, bent.noise_variance_units, honest))


def _statistic_outside(plan: RoundPlan) -> RoundPlan:
    return replace(plan, statistics=(*plan.statistics, Statistic("loss", plan.clip_units)))


PLANS: tuple[Maker, ...] = (
    partial(
        PlanFault,
        name="plan_noise_halved",
        title="plan with half the noise at the old price",
        where=PLAN,
        bend=_half_noise_same_price,
        expected=(REFUSAL,),
        signs=("wrong_price",),
    ),
    partial(
        PlanFault,
        name="plan_noise_halved_priced",
        title="plan with half the noise at its true price",
        where=PLAN,
        bend=_half_noise_true_price,
        expected=(REFUSAL,),
        signs=("too_little_noise",),
    ),
    partial(
        PlanFault,
        name="plan_statistic_outside",
        title="statistic outside B², in the plan",
        where=PLAN,
        bend=_statistic_outside,
        expected=(REFUSAL,),
        signs=("wrong_bound",),
    ),
)

SECURE_SUM: tuple[Maker, ...] = (
    partial(
        HostFault,
        name="mask_off",
        title="masks off",
        where=f"{SESSION}._mask, on one host",
        plant=patches.no_mask,
        hosts=one,
        audit=None,
        expected=(SELF_TEST,),
        signs=("mask_uniform",),
        remark="the sum which the server opens is useless, as it takes off a mask that is not there",
    ),
    partial(
        HostFault,
        name="mask_key_reused",
        title="mask key re-used",
        where=f"{SESSION}.__init__, on one host",
        plant=partial(patches.reused_mask_key, fresh_secret()),
        hosts=one,
        audit=None,
        rounds=2,
        expected=(SELF_TEST, REFUSAL),
        signs=("key_fresh", "mask_key_reused"),
        remark="in its second round all other hosts refuse its key",
    ),
    partial(
        HostFault,
        name="both_shares",
        title="share of both kinds given",
        where=f"{SESSION}._unmasking, on one host",
        plant=patches.both_shares,
        hosts=one,
        audit=None,
        rounds=1,
        expected=(SELF_TEST, REFUSAL),
        signs=("one_share", "wrong_shape"),
        remark="the message type cannot hold both, so the host's own reply fails before it leaves",
    ),
    partial(
        HostFault,
        name="second_list_answered",
        title="second survivor list answered",
        where=f"{SESSION}.answered, on one host",
        plant=patches.forgetful,
        hosts=one,
        audit=None,
        expected=(SELF_TEST,),
        signs=("one_list",),
        remark="only a hostile server asks, so nothing is to be seen in a round",
    ),
    partial(
        ServerFault,
        name="second_list_asked",
        title="second survivor list, asked for by the server",
        where="the request of stage sign",
        stage="sign",
        expected=(REFUSAL,),
        signs=("second_survivor_list",),
    ),
    partial(
        ServerFault,
        name="both_shares_asked",
        title="share of both kinds, asked for by the server",
        where="the request of stage unmask",
        stage="unmask",
        expected=(REFUSAL,),
        signs=("second_survivor_list",),
    ),
)
