"""AdamW with a rate for the head and one for the trunk, a schedule, and the moving average of the weights."""

from __future__ import annotations

from typing import Any

import keras
from numpy.typing import NDArray

from training.networks import transformer
from training.recipes.recipe import Recipe


class Optimizer(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW (Loshchilov & Hutter 2019) with a smaller learning rate for the trunk than for the head."""

    trunk_share = 0.1

    def build(self, variables: Any) -> None:
        """Note which variables belong to the trunk: TensorFlow later passes variables without their path."""
        super().build(variables)
        self._shares = [
            1.0 if transformer.is_head(variable.path) else self.trunk_share for variable in variables
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable; the scheduled learning rate is that of the head, the trunk's is scaled down."""
        share = self._shares[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * share)


def make(recipe: Recipe, total: int) -> Optimizer:
    """Make an optimiser for `total` steps: linear warm-up, then cosine decay to zero."""
    warm = max(1, round(recipe.warm_up * total))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, total - warm), warmup_target=recipe.head_rate, warmup_steps=warm
    )
    average = {"use_ema": True, "ema_momentum": recipe.average} if recipe.average else {}
    optimizer = Optimizer(
        schedule, weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip_norm, **average
    )
    optimizer.trunk_share = recipe.trunk_rate / recipe.head_rate
    return optimizer


def averaged(model: Any, optimizer: Optimizer) -> list[NDArray[Any]]:
    """Return the weights of `model.network`, float32 `[...]`, with the moving average in place of each that has one."""
    held: dict[int, Any] = {}
    if optimizer.use_ema:
        pairs = zip(model.trainable_variables, optimizer._model_variables_moving_average, strict=True)
        held = {id(variable): average for variable, average in pairs}
    return [keras.ops.convert_to_numpy(held.get(id(v), v)) for v in model.network.weights]
