"""What a module of torch must bear: each case is right, by all similarities in float64, or is refused in words."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrize, prune
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset

from softkv_attention.lookup import Memory
from softkv_attention.torch import TRAINABLE, MemoryAttention, attend, corpus_cross_entropy

N, D, D_V, Q = 101, 13, 7, 3
TEMPERATURES = {"cosine": 0.2, "dot": 0.9, "scaled_dot": 0.3, "gaussian": 1.7}
NULLS = {"cosine": 0.3, "dot": 2.0, "scaled_dot": 0.5, "gaussian": -4.0}
POSITIVES = [3, 5]
"""The documents that are right for each query of the loss."""

Action = Callable[[nn.Module, Tensor], Sequence[Tensor]]


@pytest.fixture(scope="module")
def arrays():
    random = np.random.default_rng(0)
    return random.standard_normal((N, D)), random.standard_normal((N, D_V))


class Looks(nn.Module):
    """`attend` as a module, or the loss of each query."""

    def __init__(self, memory, temperature, null, *, loss):
        super().__init__()
        self.memory, self.loss = memory.view, loss
        self.log_temperature = nn.Parameter(torch.tensor(temperature).log())
        self.null = nn.Parameter(torch.tensor(null))

    def forward(self, x):
        temperature = self.log_temperature.double().exp()
        if not self.loss:
            return attend(x, self.memory, temperature, null=self.null).output
        queries = x if x.ndim == 2 else x.reshape(x.shape[:-1].numel(), D)
        positives = [POSITIVES] * len(queries)
        losses = corpus_cross_entropy(queries, self.memory, positives, temperature, null=self.null, reduction="none")
        return losses.reshape(x.shape[:-1])


SUBJECTS = {
    "one head": lambda memory, t, s: MemoryAttention(memory, temperature=t, null=s),
    "heads": lambda memory, t, s: MemoryAttention(memory, 3, temperature=[t, t / 2, t * 2], null=[s, s, s / 2]),
    "W_Q": lambda memory, t, s: MemoryAttention(memory, 2, temperature=t, trainable=("temperature", "query")),
    "W_O": lambda memory, t, s: MemoryAttention(memory, 2, temperature=t, null=s, trainable=TRAINABLE, d_output=4),
    "attend": lambda memory, t, s: Looks(memory, t, s, loss=False),
    "loss": lambda memory, t, s: Looks(memory, t, s, loss=True),
}

LAYERS = [name for name in SUBJECTS if name not in ("attend", "loss")]


class Dense(nn.Module):
    """A subject as torch differentiates it: from a matrix of queries by rows."""

    def __init__(self, subject, keys, values, similarity):
        super().__init__()
        self.similarity, self.loss = similarity, getattr(subject, "loss", False)
        self.keys, self.values = (torch.tensor(array, dtype=torch.float32).double() for array in (keys, values))
        self.null = self.W_Q = self.W_O = None
        for name, parameter in subject.named_parameters():
            setattr(self, name, nn.Parameter(parameter.detach().clone(), parameter.requires_grad))

    def similarities(self, q):
        q, k = q.double(), self.keys.to(q.device)
        if self.similarity == "gaussian":
            return -(q[..., None, :] - k).square().sum(-1) / 2
        if self.similarity == "cosine":
            q, k = nn.functional.normalize(q, dim=-1), nn.functional.normalize(k, dim=-1)
        return q @ k.T / (D**0.5 if self.similarity == "scaled_dot" else 1)

    def forward(self, x):
        temperature = self.log_temperature.double().exp().reshape(-1, 1)
        shape = *x.shape[:-1], len(temperature), D
        heads = x[..., None, :].expand(shape) if self.W_Q is None else (x @ self.W_Q.to(x)).reshape(shape)
        logits = self.similarities(heads) / temperature
        if self.null is not None:
            of_null = (self.null.double().reshape(-1, 1) / temperature).expand(*logits.shape[:-1], 1)
            logits = torch.cat([logits, of_null], dim=-1)
        weights = logits.softmax(dim=-1)[..., :N]
        if self.loss:
            return -weights[..., 0, POSITIVES].sum(-1).log().to(torch.promote_types(x.dtype, torch.float32))
        joined = (weights @ self.values).flatten(-2).to(heads.dtype)
        return joined if self.W_O is None else joined @ self.W_O.to(joined)


def weigh(y: Tensor) -> Tensor:
    """Return a sum in which each number of an output counts differently."""
    return (y.float() * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum()


def through(module: Any, x: Tensor, call: Callable[..., Tensor] | None = None) -> list[Tensor]:
    """Return the output, and the gradients of the queries and all parameters."""
    x = x.detach().requires_grad_()
    module.zero_grad()
    y = module(x) if call is None else call(x)
    weigh(y).backward()
    return [y.detach(), x.grad, *(p.grad for p in module.parameters() if p.grad is not None)]


def backward_from(gradient: Callable[[Tensor], Tensor]) -> Action:
    """Return the action that goes backward from a gradient of the output, made of an output."""

    def act(module: nn.Module, x: Tensor) -> list[Tensor]:
        x = x.detach().requires_grad_()
        y = module(x)
        return list(torch.autograd.grad(y, [x, *module.parameters()], gradient(y.detach())))

    return act


def with_hooks(pack: Callable[[Tensor], Any], unpack: Callable[[Any], Tensor]) -> Action:
    def act(module: nn.Module, x: Tensor) -> list[Tensor]:
        def call(x: Tensor) -> Tensor:
            with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
                return module(x)

        return through(module, x, call)

    return act


def to_bytes(tensor: Tensor) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(tensor, file)
    return file


def from_bytes(file: io.BytesIO) -> Tensor:
    file.seek(0)
    return torch.load(file, weights_only=True)


def twice(module: nn.Module, x: Tensor) -> list[Tensor]:
    x = x.detach().requires_grad_()
    y = module(x)
    weigh(y).backward(retain_graph=True)
    weigh(y).backward()
    return [x.grad]


def unused(module: nn.Module, x: Tensor) -> list[Tensor]:
    x, other = x.detach().requires_grad_(), torch.ones(1, requires_grad=True)
    of_x, of_other = torch.autograd.grad(weigh(module(x)), [x, other], allow_unused=True)
    assert of_other is None
    return [of_x]


def frozen(module: nn.Module, x: Tensor) -> list[Tensor]:
    module = copy.deepcopy(module).requires_grad_(False)
    first = through(module, x)
    assert len(first) == 2
    assert not module(x).requires_grad
    return [*first, *through(module.requires_grad_(True), x)]


def without_gradients(mode: Callable[[], Any]) -> Action:
    def act(module: nn.Module, x: Tensor) -> list[Tensor]:
        with mode():
            y = module(x.clone())
        assert not y.requires_grad
        return [y]

    return act


def autocast(module: nn.Module, x: Tensor) -> list[Tensor]:
    def call(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return module(x)

    return through(module, x, call)


def restored(*, assign: bool) -> Action:
    """Return the action of a module on meta that gets the state of another, from a file."""

    def act(module: nn.Module, x: Tensor) -> list[Tensor]:
        state = from_bytes(to_bytes(module.state_dict()))
        other = copy.deepcopy(module)
        other = other.to("meta") if assign else other.apply(lambda part: [p.data.zero_() for p in part.parameters()])
        other.load_state_dict(state, assign=assign)
        return through(other, x)

    return act


def own_copy(module: nn.Module, x: Tensor) -> list[Tensor]:
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.log_temperature += 0.5
    return [*through(module, x), *through(other, x)]


def averaged(module: nn.Module, x: Tensor) -> list[Tensor]:
    average = torch.optim.swa_utils.AveragedModel(module)
    average.update_parameters(module)
    return through(average, x)


def trained(make: Callable[..., torch.optim.Optimizer], *, to_none: bool = True) -> Action:
    def act(module: nn.Module, x: Tensor) -> list[Tensor]:
        module = copy.deepcopy(module)
        optimiser, scaler = make(module.parameters()), torch.amp.GradScaler("cpu")
        for _ in range(3):
            optimiser.zero_grad(set_to_none=to_none)
            scaler.scale(weigh(module(x))).backward()
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(module.parameters(), 0.5)
            scaler.step(optimiser)
            scaler.update()
        return [p.detach() for p in module.parameters()]

    return act


def observed(module: nn.Module, x: Tensor) -> list[Tensor]:
    module, observations = copy.deepcopy(module), list[Tensor]()
    module.register_forward_pre_hook(lambda _, inputs: (inputs[0] * 2,))
    module.register_forward_hook(lambda _, inputs, output: observations.append(output.detach()))
    module.register_full_backward_hook(lambda _, of_inputs, of_outputs: observations.extend([*of_inputs, *of_outputs]))
    return through(module, x) + observations


class Halved(nn.Module):
    def forward(self, x):
        return x / 2


def parametrized(module: nn.Module, x: Tensor) -> list[Tensor]:
    module = copy.deepcopy(module)
    parametrize.register_parametrization(module, "log_temperature", Halved())
    return through(copy.deepcopy(module), x)


def pruned(module: nn.Module, x: Tensor) -> list[Tensor]:
    module = copy.deepcopy(module)
    prune.custom_from_mask(module, "log_temperature", torch.zeros_like(module.log_temperature))
    return through(module, x)


class Answers(Dataset):
    def __init__(self, module, x):
        self.module, self.x = module, x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.module(self.x[i]).detach()


def loaded(module: nn.Module, x: Tensor) -> list[Tensor]:
    return list(DataLoader(Answers(module, x), num_workers=1, multiprocessing_context="fork"))


def in_threads(module: nn.Module, x: Tensor) -> list[Tensor]:
    def call(i: int) -> list[Tensor]:
        return through(copy.deepcopy(module), x * (1 + i / 8))

    with ThreadPoolExecutor(4) as pool:
        return [tensor for tensors in pool.map(call, range(8)) for tensor in tensors]


def in_place(module: nn.Module, x: Tensor) -> list[Tensor]:
    return through(module, x.double(), lambda x: module(x).relu_())


def of_parameters(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


def called(module: nn.Module) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    return lambda parameters, x: torch.func.functional_call(module, parameters, (x,))


def ensemble(module: nn.Module, x: Tensor) -> list[Tensor]:
    several = [copy.deepcopy(module), copy.deepcopy(module)]
    with torch.no_grad():
        several[1].log_temperature += 0.3
    parameters, _ = torch.func.stack_module_state(several)
    base = copy.deepcopy(module).to("meta")
    return [torch.vmap(called(base), in_dims=(0, None))({n: p.detach() for n, p in parameters.items()}, x)]


def sample_gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    of_sample = torch.func.grad(lambda parameters, x: weigh(called(module)(parameters, x)))
    return list(torch.vmap(of_sample, in_dims=(None, 0))(of_parameters(module), x).values())


def gradients_of_parameters(module: nn.Module, x: Tensor) -> list[Tensor]:
    gradients = torch.func.grad(lambda parameters: weigh(called(module)(parameters, x)))(of_parameters(module))
    return list(gradients.values())


def pickled(module: nn.Module, x: Tensor) -> list[Tensor]:
    if isinstance(module, MemoryAttention):
        module = copy.copy(module)
        module.memory = module.memory.view
    return through(pickle.loads(pickle.dumps(module)), x)


def traced(module: nn.Module, x: Tensor) -> list[Tensor]:
    trace = torch.jit.trace(module, x)
    ways = [x.detach().requires_grad_(), (x * 2).requires_grad_()]
    outputs = [trace(way) for way in ways]  # both before the way back
    return [*outputs, *torch.autograd.grad(sum(map(weigh, outputs)), ways)]


def dual(module: nn.Module, x: Tensor) -> Tensor:
    with forward_ad.dual_level():
        return module(forward_ad.make_dual(x, x))


def batched_gradients(module: nn.Module, x: Tensor) -> Any:
    x = x.detach().requires_grad_()
    y = module(x)
    return torch.autograd.grad(y, x, torch.stack([y, y]), is_grads_batched=True)


def second(module: nn.Module, x: Tensor) -> None:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(weigh(module(x)), x, create_graph=True)
    gradient.sum().backward()


def fake(module: nn.Module, x: Tensor) -> Tensor:
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        return module(torch.empty(x.shape))


def compiled(module: nn.Module, x: Tensor, *, whole: bool = False) -> list[Tensor]:
    torch._dynamo.reset()
    return through(module, x, torch.compile(module, backend="eager", fullgraph=whole))


RIGHT = None
"""The expectation that numbers are right; otherwise it is the words of a refusal."""

ERRORS = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far numbers may be from right ones, by the type of the least precise number of a case."""

FIRST = "has first derivatives only, by backward, torch.func.grad, vjp or jacrev"
NUMBERS = "attention over a memory reads numbers, and tensors of an export, .* leave the layer out of the graph"
DENSE = "queries must be a dense tensor of bfloat16, float16, float32 or float64, got "
UNCOMPILED = "no graph holds rows: compile without fullgraph"

CASES: dict[str, tuple[Action, str | None]] = {
    # layout
    "rows": (through, RIGHT),
    "columns": (lambda m, x: through(m, x.T.contiguous().T), RIGHT),
    "the same row": (lambda m, x: through(m, x[:1].expand(Q, D)), RIGHT),
    "windows that overlap": (lambda m, x: through(m, x.flatten().unfold(0, D, 3)), RIGHT),
    "channels last": (lambda m, x: through(m, x[None, None].contiguous(memory_format=torch.channels_last)), RIGHT),
    "one query": (lambda m, x: through(m, x[0]), RIGHT),
    "no query": (lambda m, x: through(m, x[:0]), RIGHT),
    "no batch": (lambda m, x: through(m, x.new_empty(0, 3, D)), RIGHT),
    "gradients by columns": (backward_from(lambda y: y.mT.contiguous().mT.cos() if y.ndim > 1 else y.cos()), RIGHT),
    "the same gradient": (backward_from(lambda y: y.new_ones(1).expand(y.shape)), RIGHT),
    "sparse": (lambda m, x: m(x.to_sparse()), DENSE + "torch.float32 .torch.sparse_coo"),
    # types
    "float64": (lambda m, x: through(m, x.double()), RIGHT),
    "bfloat16": (lambda m, x: through(m, x.bfloat16()), RIGHT),
    "parameters of float64": (lambda m, x: through(copy.deepcopy(m).double(), x), RIGHT),
    "autocast": (autocast, RIGHT),
    "integers": (lambda m, x: m(x.int()), DENSE + "torch.int32"),
    "complex numbers": (lambda m, x: m(x.cfloat()), DENSE + "torch.complex64"),
    # what autograd stores, and when
    "checkpoint": (lambda m, x: through(m, x, lambda x: checkpoint(m, x, use_reentrant=False)), RIGHT),
    "reentrant checkpoint": (lambda m, x: through(m, x, lambda x: checkpoint(m, x, use_reentrant=True)), RIGHT),
    "saved as bytes": (with_hooks(to_bytes, from_bytes), RIGHT),
    "backward twice": (twice, RIGHT),
    "an unused input": (unused, RIGHT),
    "requires_grad_": (frozen, RIGHT),
    "no_grad": (without_gradients(torch.no_grad), RIGHT),
    "inference_mode": (without_gradients(torch.inference_mode), RIGHT),
    "an output changed in place": (in_place, RIGHT),
    "second derivatives": (second, FIRST),
    # what libraries do with modules
    "deepcopy": (own_copy, RIGHT),
    "AveragedModel": (averaged, RIGHT),
    "state_dict": (restored(assign=False), RIGHT),
    "state_dict onto meta": (restored(assign=True), RIGHT),
    "state_dict of another module": (lambda m, x: m.load_state_dict({"weight": x}), "Unexpected key.* in state_dict"),
    "hooks": (observed, RIGHT),
    "parametrize": (parametrized, RIGHT),
    "prune": (pruned, RIGHT),
    "SGD, foreach": (trained(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, foreach=True)), RIGHT),
    "Adam, fused": (trained(lambda p: torch.optim.Adam(p, 0.1, fused=True), to_none=False), RIGHT),
    "a DataLoader": (loaded, RIGHT),
    "threads": (in_threads, RIGHT),
    # transformations of functions
    "functional_call": (lambda m, x: [called(m)(of_parameters(m), x)], RIGHT),
    "grad": (lambda m, x: [torch.func.grad(lambda x: weigh(m(x)))(x)], RIGHT),
    "grad of parameters": (gradients_of_parameters, RIGHT),
    "vjp": (lambda m, x: [*torch.func.vjp(m, x)[1](m(x).detach().cos())], RIGHT),
    "jacrev": (lambda m, x: [torch.func.jacrev(m)(x)], RIGHT),
    "vmap": (lambda m, x: [torch.vmap(m)(x), torch.vmap(m, in_dims=1)(x.T), torch.vmap(m)(x.double())], RIGHT),
    "vmap of nothing": (lambda m, x: [torch.vmap(m)(x.new_empty(2, 0, D)), torch.vmap(m)(x.new_empty(0, 2, D))], RIGHT),
    "backward through vmap": (lambda m, x: through(m, x, torch.vmap(m)), RIGHT),
    "gradients of samples": (sample_gradients, RIGHT),
    "an ensemble": (ensemble, RIGHT),
    "jvp": (lambda m, x: torch.func.jvp(m, (x,), (x,)), FIRST),
    "jacfwd": (lambda m, x: torch.func.jacfwd(m)(x), FIRST),
    "hessian": (lambda m, x: torch.func.hessian(lambda x: weigh(m(x)))(x), FIRST),
    "grad of grad": (
        lambda m, x: torch.func.grad(lambda x: weigh(torch.func.grad(lambda x: weigh(m(x)))(x)))(x),
        FIRST,
    ),
    "forward mode": (dual, FIRST),
    # graphs, and tensors without numbers
    "compile": (compiled, RIGHT),
    "compile as one graph": (partial(compiled, whole=True), UNCOMPILED),
    "export": (lambda m, x: torch.export.export(m, (x,), strict=False), NUMBERS),
    "strict export": (lambda m, x: torch.export.export(m, (x,), strict=True), UNCOMPILED),
    "make_fx": (lambda m, x: make_fx(m)(x), NUMBERS),
    "jit.trace": (traced, RIGHT),
    "queries on meta": (lambda m, x: m(x.to("meta")), NUMBERS),
    "parameters on meta": (lambda m, x: copy.deepcopy(m).to("meta")(x), "Cannot copy out of meta tensor; no data"),
    "fake queries": (fake, NUMBERS),
}

OF_LAYERS: dict[str, tuple[Action, str | None]] = {
    "fx": (lambda m, x: torch.fx.symbolic_trace(m), "make the layer a leaf module of the tracer"),
    "is_grads_batched": (batched_gradients, "use torch.func.jacrev for Jacobians"),
    "jit.script": (lambda m, x: torch.jit.script(nn.Sequential(m)), "a MemoryAttention cannot be scripted"),
    "pickle": (lambda m, x: pickle.dumps(m), "a Memory cannot be copied or pickled"),
    "torch.save": (lambda m, x: torch.save(m, io.BytesIO()), "save the parameters with save.path. or state_dict"),
    "pickle over a view": (pickled, RIGHT),
}


def every_case() -> list[Any]:
    """Return each case of each subject with each similarity: by day with one, and of half of the subjects."""
    params = []
    for i, (case, (action, words)) in enumerate([*CASES.items(), *OF_LAYERS.items()]):
        for j, subject in enumerate(SUBJECTS if case in CASES else LAYERS):
            for k, similarity in enumerate(TEMPERATURES):
                by_day = (i + j) % 4 == k and (i // 4 + j) % 2 == 0
                values = subject, similarity, action, words
                marks = () if by_day else pytest.mark.thorough
                params.append(pytest.param(*values, id=f"{case}-{subject}-{similarity}", marks=marks))
    return params


@pytest.mark.filterwarnings("ignore")  # of what torch means to change, and of what a trace holds fixed
@pytest.mark.parametrize(("subject", "similarity", "action", "words"), every_case())
def test_a_module_bears_it_or_refuses_in_words(arrays, subject, similarity, action, words):
    memory = Memory.of(*arrays, similarity=similarity)
    torch.manual_seed(0)
    module = SUBJECTS[subject](memory, TEMPERATURES[similarity], NULLS[similarity])
    x = torch.randn(Q, D)
    if words is not None:
        with pytest.raises(Exception, match=words):
            action(module, x)
        return
    results = [action(either, x) for either in (module, Dense(module, *arrays, similarity))]
    error = max(ERRORS[tensor.dtype] for tensor in results[0])
    for mine, theirs in zip(*results, strict=True):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        size = float(theirs.detach().abs().max()) if theirs.numel() else 0.0
        torch.testing.assert_close(mine, theirs, rtol=error, atol=error * max(size, 1e-3))
