"""The other ways of local training that `benchmarks.training` times: torch, Opacus, and Apple's ``pfl``."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.training import DEVICES, EPOCHS, FEATURES, RATE, ROWS
from tactful.training.extra import TrainExtraMissing

try:  # types are checked with and without the extra: what must be ignored in one case is unused in the other
    import torch  # type: ignore[import-not-found, unused-ignore]
    from opacus.grad_sample import GradSampleModule
except ModuleNotFoundError as missing:
    raise TrainExtraMissing(missing) from missing

BLOCK = 128
Floats = NDArray[np.float32]


class TorchWays:
    """Torch in float32 on one thread; the tensors share the problem's memory and are made before the clock starts."""

    def __init__(self, x: Floats, y: Floats, start: NDArray[np.float64]) -> None:
        torch.set_num_threads(1)
        self.x = torch.from_numpy(x).view(DEVICES, ROWS, FEATURES)
        self.y = torch.from_numpy(y).view(DEVICES, ROWS, 1)
        self.start = torch.from_numpy(start.astype(np.float32))

    def head(self) -> torch.nn.Linear:
        head = torch.nn.Linear(FEATURES, 1, bias=False)
        with torch.no_grad():
            head.weight.copy_(self.start[None, :])
        return head

    def loop(self) -> Floats:
        """The way of a tutorial: for each device a linear layer, a loss and an optimiser."""
        change = np.empty((DEVICES, FEATURES), np.float32)
        for device in range(DEVICES):
            head = self.head()
            optimiser, loss = torch.optim.SGD(head.parameters(), lr=RATE), torch.nn.BCEWithLogitsLoss()
            for _ in range(EPOCHS):
                optimiser.zero_grad()
                loss(head(self.x[device]), self.y[device]).backward()
                optimiser.step()
            change[device] = (head.weight.detach()[0] - self.start).numpy()
        return change

    def batched(self) -> Floats:
        """All devices in two batched products an epoch, the gradient written by hand: no autograd, nothing repeated."""
        return self._products(self.x, self.y)

    def blocks(self) -> Floats:
        """The same in blocks of `BLOCK` devices, about as many as ours takes at once."""
        parts = zip(torch.split(self.x, BLOCK), torch.split(self.y, BLOCK), strict=True)
        return np.concatenate([self._products(x, y) for x, y in parts])

    def _products(self, x: torch.Tensor, y: torch.Tensor) -> Floats:
        transposed, start = x.transpose(1, 2), self.start[:, None].repeat(len(x), 1, 1)
        local = start.clone()
        for _ in range(EPOCHS):
            residual = y - torch.sigmoid(torch.bmm(x, local))
            local = torch.baddbmm(local, transposed, residual, alpha=RATE / ROWS)
        change: Floats = (local - start)[:, :, 0].numpy()
        return change

    def opacus(self) -> Floats:
        """For each device, steps along the mean of its per-sample gradients by Opacus' `GradSampleModule`."""
        change = np.empty((DEVICES, FEATURES), np.float32)
        loss = torch.nn.BCEWithLogitsLoss(reduction="sum")
        for device in range(DEVICES):
            head = self.head()
            module = GradSampleModule(head, loss_reduction="sum")
            optimiser = torch.optim.SGD(head.parameters(), lr=RATE)
            for _ in range(EPOCHS):
                module.zero_grad()
                # Without a gradient asked of the input, torch warns that Opacus' hooks see none.
                loss(module(self.x[device].detach().requires_grad_()), self.y[device]).backward()
                head.weight.grad = head.weight.grad_sample.mean(dim=0)  # type: ignore[attr-defined, unused-ignore]
                optimiser.step()
            change[device] = (head.weight.detach()[0] - self.start).numpy()
        return change

    def pfl(self) -> Floats:
        """Apple's federated averaging, user by user: the change is its statistics of one user."""
        from pfl.data.pytorch import PyTorchTensorDataset  # type: ignore[import-not-found, unused-ignore]
        from pfl.hyperparam import NNTrainHyperParams  # type: ignore[import-not-found, unused-ignore]
        from pfl.internal.bridge import FrameworkBridgeFactory  # type: ignore[import-not-found, unused-ignore]
        from pfl.model.pytorch import PyTorchModel  # type: ignore[import-not-found, unused-ignore]

        head = _pfl_head(self)
        model = PyTorchModel(head, torch.optim.SGD, torch.optim.SGD(head.parameters(), lr=1.0))
        asked = NNTrainHyperParams(local_num_epochs=EPOCHS, local_learning_rate=RATE, local_batch_size=None)
        initial, change = model.get_parameters(), np.empty((DEVICES, FEATURES), np.float32)
        sgd = FrameworkBridgeFactory.sgd_bridge()
        for device in range(DEVICES):
            user = PyTorchTensorDataset(tensors=(self.x[device], self.y[device]))
            sgd.do_sgd(model, user, asked)
            difference = model.get_model_difference(initial)
            (moved,) = (value for _, value in difference.items())
            change[device] = moved[0].numpy()
            model.set_parameters(initial)
        return change


def _pfl_head(ways: TorchWays) -> torch.nn.Module:
    class Head(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.linear = ways.head()
            self._loss = torch.nn.BCEWithLogitsLoss()

        def loss(self, x: torch.Tensor, y: torch.Tensor, is_eval: bool = False) -> torch.Tensor:
            del is_eval
            loss: torch.Tensor = self._loss(self.linear(x), y)
            return loss

        def metrics(self, x: object, y: object) -> dict[str, object]:
            del x, y
            return {}

    return Head()
