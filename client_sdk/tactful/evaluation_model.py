"""What the public model expects of logged decisions: engagement with and without a push, and the push's score.

Only the released parameters are used, nothing of a person's own layer: the server knows the model, so a prediction
says nothing that the decision's features do not. A doubly robust estimate holds for any prediction; a good one makes it
narrower.

With η = α·φ, m the features of the message and T = β·φ + b·(α·φ + 3) + μ_m·m − κ·D (the public open rate while the
model knows no effect), engagement has probability σ(η) without a push and σ(η + T) with one; h = σ(h₀ + γ·φ + γ_m·m +
γ_D·(D + 1)) is the chance that it costs the permission; and the score is ``value_minor``·(σ(η + T) − σ(η)) −
``opt_out_cost_minor``·h: as in `tactful.scoring`, but for the personal layer and the value head.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tactful.evaluation import EvaluationSpec, Floats
from tactful.evaluation_sums import DecisionTable
from tactful.model import HAZARD_BASE_LOGIT, MESSAGE, OPEN_RATE_PRIOR, Model


def with_predictions(
    spec: EvaluationSpec,
    table: DecisionTable,
    model: Model,
    phi: NDArray[np.float32],
    doses: Floats,
    message: Floats | None = None,
) -> DecisionTable:
    """Return the table with the model's predictions and scores.

    Args:
        spec: of the evaluation; what a push is worth, and what an opt-out costs.
        table: decisions.
        model: as released.
        phi: features of each decision's day and slot, float32 (rows, D).
        doses: dosage before each decision, (rows, 3).
        message: features of each decision's message, (rows, 2); None: no message has any.
    """
    said = np.zeros((len(doses), len(MESSAGE))) if message is None else message
    forms = phi.astype(np.float64) @ np.column_stack([model.alpha, model.effect_weights, model.hazard])
    known = forms[:, 1] + said @ model.message_effect - doses @ model.kappa
    effect = known if model.knows_effect else OPEN_RATE_PRIOR
    stay, send = _sigmoid(forms[:, 0]), _sigmoid(forms[:, 0] + effect)
    leaving = said @ model.message_hazard + (doses + 1.0) @ model.hazard_dosage
    hazard = _sigmoid(HAZARD_BASE_LOGIT + forms[:, 2] + leaving)
    score = spec.value_minor * (send - stay) - spec.opt_out_cost_minor * hazard
    return replace(table, predicted=np.column_stack([stay, send]), score=score)


def _sigmoid(logit: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)))
