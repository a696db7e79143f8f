# %% [markdown]
# # 09 · Modules, the first weights, and the optimizer's step
#
# *50 minutes · before: 08 · <!-- links -->*
#
# **The question.** A network is a few hundred thousand numbers. Who keeps track of them, what values do they start with,
# and how does a gradient move them?
#
# ```mermaid
# flowchart LR
#     I["a draw of a chosen width"] -- "once, at the start" --> P["parameters"]
#     P --> M["modules: forward"] --> L["loss"]
#     L -- backward --> G["gradients"]
#     G -- "the optimizer's step" --> P
# ```

# %% [markdown]
# ## 1 A module from scratch
#
# A layer has parameters, a network has layers: a tree. Python already keeps it, in the attributes of the objects. A
# module only has to look there, and below:

# %%
import numpy as np

import mytensor as mt
import mytensor.nn.functional as F


class MiniModule:
    def named_parameters(self, prefix=""):
        for name, value in vars(self).items():
            if isinstance(value, mt.nn.Parameter):
                yield prefix + name, value
            elif isinstance(value, MiniModule):
                yield from value.named_parameters(f"{prefix}{name}.")


# %% [markdown]
# That is enough to write layers and networks as one does in torch, and to find all of their parameters by name:


# %%
class MiniLinear(MiniModule):
    def __init__(self, inputs, outputs):
        self.weight = mt.nn.Parameter(mt.randn(outputs, inputs))
        self.bias = mt.nn.Parameter(mt.zeros(outputs))

    def __call__(self, x):
        return F.linear(x, self.weight, self.bias)


class MiniNet(MiniModule):
    def __init__(self):
        self.hidden, self.output = MiniLinear(5, 7), MiniLinear(7, 3)

    def __call__(self, x):
        return self.output(mt.relu(self.hidden(x)))


for name, parameter in MiniNet().named_parameters():
    print(f"{name:<14} {tuple(parameter.shape)}")

# %% [markdown]
# ## 2 Ours, and its twin in torch
#
# `mt.nn.Module` is this idea with what else one needs. Its names are torch's, so one text makes a network in either
# framework:

# %%
import torch
from mytensor import check


def make_net(nn):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.output = nn.Linear(5, 7), nn.Linear(7, 3)

        def forward(self, x):
            return self.output(self.hidden(x).relu())

    return Net().double()


_ = torch.manual_seed(9)
ours, theirs = make_net(mt.nn), make_net(torch.nn)
print("the same names, in the same order:", list(ours.state_dict()) == list(theirs.state_dict()))

# %% [markdown]
# `state_dict()` is the network as plain arrays by name. So weights travel from torch to us and back, by DLPack; what comes
# back are the same bits.

# %%
ours.load_state_dict(theirs.state_dict())
x = np.random.default_rng(9).normal(size=(4, 5))
no_relu = {"ReLU forgotten": lambda x: ours.output(ours.hidden(mt.tensor(x)))}
want = theirs(torch.tensor(x))
check.call(lambda x: ours(mt.tensor(x)), x, want=want, bound=1e-13, mutants=no_relu, name="ours with torch's weights")


def through_torch(state):
    net = make_net(torch.nn)
    net.load_state_dict({name: torch.from_dlpack(values) for name, values in state.items()})
    return net.state_dict()


with mt.no_grad():
    for parameter in ours.parameters():
        parameter.mul_(1 / 3)
check.call(through_torch, ours.state_dict(), want=ours.state_dict(), name="torch's with our weights")

# %% [markdown]
# **Training or not.** Some layers behave differently while one trains. `train()` and `eval()` set `training` in the whole
# tree. Dropout, for example, which zeroes some inputs by chance, must do nothing when the network is used:


# %%
class Dropout(mt.nn.Module):
    def forward(self, x, p=0.5):
        if not self.training:
            return x
        return mt.where(mt.rand_like(x) < p, mt.zeros_like(x), x / (1 - p))


net = mt.nn.Sequential(mt.nn.Linear(5, 1000), Dropout())
mt.manual_seed(9)
x = mt.randn(1, 5)
for mode in (net.train, net.eval):
    y = mode()(x)
    print(f"training={net[1].training!s:<5}: {int((y == 0).numpy().sum())} of {y.numel()} outputs are 0")

# %% [markdown]
# **Hooks** are functions that a module calls after its forward: a way to look into a network without changing it. This
# one prints what LeNet's layers hand on; in section 4 one will measure it.

# %%
lenet = mt.models.LeNet()
handles = [
    module.register_forward_hook(lambda module, inputs, output: print(f"{output.shape!s:<18} {module}"))
    for module in lenet.children()
]
with mt.no_grad():
    lenet(mt.randn(2, 3, 32, 32))
for handle in handles:
    handle.remove()

# %% [markdown]
# ## 3 Why the width of the first draw decides
#
# An output of a layer is a sum of $n$ products, $y = \sum_{i=1}^n w_i x_i$; $n$ is called *fan-in*. The weights are drawn
# independently, with mean 0. So the products have mean 0 too, are uncorrelated, and variances add:
#
# $$\mathrm{Var}(y) = n \, \mathrm{Var}(w) \, \mathrm{E}[x^2] .$$
#
# The inputs $x$ are a ReLU of the outputs $y'$ of the layer before. These lie symmetrically around 0, and ReLU drops one
# half: $\mathrm{E}[x^2] = \tfrac12 \mathrm{Var}(y')$. From layer to layer the variance is multiplied by
#
# $$\frac{\mathrm{Var}(y)}{\mathrm{Var}(y')} = \tfrac12\, n\, \mathrm{Var}(w) .$$
#
# Ten layers take the tenth power of that. It is 1 for $\mathrm{Var}(w) = 2/n$ (He et al., *Delving Deep into Rectifiers*,
# 2015, section 2.2). A uniform draw from $[-a, a)$ has variance $a^2/3$, so $a = \sqrt{6/n}$.
#
# One layer, measured:

# %%
mt.manual_seed(9)
n, a = 256, 0.1
y_before = mt.randn(1000, n, dtype=mt.float64)
w = mt.nn.init.uniform_(mt.empty(300, n, dtype=mt.float64), -a, a)
y = mt.relu(y_before) @ w.T
print(f"the variance is multiplied by {y.var().item() / y_before.var().item():.2f}")
print(f"n a² / 6 =                    {n * a**2 / 6:.2f}")

# %% [markdown]
# **Backward** the same sum runs over the *outputs* of a layer, fan-out: a gradient's variance is multiplied by
# $\tfrac12 n_\text{out} \mathrm{Var}(w)$. Both cannot be 1 unless the layer is square. Glorot and Bengio (2010) take the
# middle, $2 / (n + n_\text{out})$, and derived it without a ReLU, so without the $\tfrac12$: **Xavier**. He et al. show
# that fan-in alone will do: backward, a layer is then off by $n_\text{out} / n$, and in a chain of layers these factors
# cancel but for the two ends. That is **Kaiming**.
#
# | start | a uniform draw from ±a with a = | ½ n Var(w) |
# |:--|:--|:--|
# | plain uniform | one number for all layers | n a² / 6: depends on the layer |
# | Xavier | √(6 / (n + n_out)) | n / (n + n_out), so ½ in a square layer |
# | Kaiming | √(6 / n) | 1 |
# | torch's default | √(1 / n) | 1/6 |
#
# torch's default is *not* Kaiming's, though its source calls `kaiming_uniform_`: it hands it `a=√5`, the slope of a leaky
# ReLU, and gets $1/\sqrt n$.
#
# The report drew every layer with `Tensor.uniform(...)`. It does not state the range: **±0.1 is our assumption**, here
# and in notebook 11, which tries others. What the rules say to LeNet:

# %%
from mytensor.nn.init import calculate_fan_in_and_fan_out

print(f"{'':>8}{'n':>6}{'n_out':>7} | ±a of  {'Xavier':>7}{'Kaiming':>9}{'torch':>7} | ½ n Var(w) of plain ±0.1")
for name, weight in lenet.named_parameters():
    if weight.ndim > 1:
        n, n_out = calculate_fan_in_and_fan_out(weight)
        bounds = f"{(6 / (n + n_out)) ** 0.5:>14.3f}{(6 / n) ** 0.5:>9.3f}{n**-0.5:>7.3f}"
        print(f"{name.removesuffix('.weight'):>8}{n:>6}{n_out:>7} | {bounds} | {n * 0.1**2 / 6:>10.3f}")

# %% [markdown]
# Against torch's ranges and, number by number, against the generator (section 8):

# %%
check("kaiming_uniform", mt.nn.init.kaiming_uniform_)
check("xavier_uniform", mt.nn.init.xavier_uniform_)

# %% [markdown]
# ## 4 Layer by layer
#
# Ten layers, 256 wide, and random inputs. A hook keeps each layer's output and the loss's gradient by it; `STARTS` holds
# the ways to draw.

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.figure import figure
from mytensor.inspect.initialisation import STARTS, InitInspector, deviations_figure, signals, style_of
from mytensor.inspect.source import source

source(signals)


# %%
class Deep(mt.nn.Module):
    """Nine layers of 256 with ReLU, and ten logits."""

    def __init__(self):
        for number in range(1, 10):
            setattr(self, f"layer{number}", mt.nn.Linear(256, 256))
        self.logits = mt.nn.Linear(256, 10)

    def forward(self, x):
        *hidden, logits = self.children()
        for layer in hidden:
            x = mt.relu(layer(x))
        return logits(x)


def started(make, start):
    """A model whose weights are drawn from the same seed, in this way."""
    mt.manual_seed(0)
    model = make()
    STARTS[start](model)
    return model


mt.manual_seed(9)
vectors = mt.randn(128, 256, dtype=mt.float64)
classes = mt.tensor(np.random.default_rng(9).integers(0, 10, 128))
deep = {start: signals(started(lambda: Deep().double(), start), vectors, classes) for start in STARTS}

print("standard deviation of       outputs →                    gradients ←")
print(f"{'layer':>16}{'1':>9}{'2':>9}{'9':>9}    {'1':>10}{'8':>10}{'9':>10}")
for start, rows in deep.items():
    forward = "".join(f"{rows[k].output.std():>9.2g}" for k in (0, 1, 8))
    backward = "".join(f"{rows[k].gradient.std():>10.2g}" for k in (0, 7, 8))
    print(f"{start:>16}{forward}    {backward}")

# %%
labels = {f"layer{number}": str(number) for number in range(1, 10)} | {"logits": "logits"}
short = {start: [row._replace(layer=labels[row.layer]) for row in rows] for start, rows in deep.items()}
figure(*deviations_figure(short, "ten layers, random inputs"))

# %% [markdown]
# Read it from left to right, then from right to left:
#
# - **±1** multiplies the deviation by $\sqrt{256/6} \approx 6.5$ a layer: the logits reach hundreds of millions, the loss
#   with them, and the gradients grow by the same factor on their way back.
# - **±0.01** divides by 15 at each layer, until nothing is left of the inputs but the biases' own spread, $0.01/\sqrt3 =
#   0.006$: all inputs look the same. The gradients vanish on their way back, by the same factor.
# - **±0.1**, **torch's default** and **Xavier** shrink too, more gently. Still, the gradient that reaches layer 1 is about
#   three thousand times smaller with torch's default than with Kaiming's.
# - **Kaiming** keeps both.
#
# The measured factor a layer, over the eight steps from layer 1 to layer 9, beside the derivation (for the starts whose
# biases are 0, so that nothing else adds to the variance):

# %%
for start, factor in (("Xavier", 1 / 2), ("Kaiming", 1)):
    rows = deep[start]
    measured = (rows[8].output.var() / rows[0].output.var()) ** (1 / 8)
    print(f"{start:>8}: the variance is multiplied by {measured:.2f} a layer, derived {factor:.2f}")

# %% [markdown]
# ## 5 Look inside
#
# The same ten layers: each row a layer, left the histogram of its outputs, right that of the gradients. Choose the weights
# by the radio buttons or the left and right arrow keys, the layer by pointer or up and down. The scale is logarithmic:
# one step of the grid is a factor of ten thousand.

# %%
inspector = InitInspector(lambda: Deep().double(), vectors, classes, about="Ten layers, random inputs.")
inspector

# %% [markdown]
# What you chose is known here too:

# %% tags=["nbval-ignore-output"]
inspector.start, inspector.layers[inspector.layer], inspector.outputs[inspector.start][inspector.layer]["deviation"]

# %% [markdown]
# ## 6 What it does to the first 200 steps
#
# LeNet on images now, and on real ones where CIFAR-10 is at hand. It is only five layers deep, so the differences are
# smaller than above.

# %% tags=["nbval-ignore-output"]
import mytensor_backend as backend

from mytensor.data import Batches
from mytensor.training import quick

device = "cuda" if backend.cuda_info()["gpus"] else "cpu"
train_set, _ = mt.data.cifar10_or_stand_in()
batches = Batches(train_set, batch_size=64, device=device)
images, targets = next(iter(batches.epoch(0)))
of_lenet = {start: signals(started(lambda: mt.models.LeNet().to(device), start), images, targets) for start in STARTS}
figure(*deviations_figure(of_lenet, f"LeNet, one batch of {train_set.source}"))

# %%
STEPS = 40 if quick() else 200


def first_losses(start):
    """The loss at each of the first steps, always on the same batches: the report's SGD, lr 0.01, momentum 0.9."""
    model = started(lambda: mt.models.LeNet().to(device), start)
    optimizer = mt.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _, (x, t) in zip(range(STEPS), batches.epoch(0)):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


losses = {start: first_losses(start) for start in STARTS}
print("at step 0, Kaiming's loss is below 10, that of ±1 above:", losses["Kaiming"][0] < 10 < losses["uniform ±1"][0])

# %% tags=["nbval-ignore-output"]
from matplotlib.figure import Figure

picture = Figure(figsize=(8, 3.4), layout="constrained")
axes = picture.subplots()
for place, (start, values) in enumerate(losses.items()):
    means = values.reshape(-1, 20).mean(axis=1)
    axes.plot(np.arange(len(means)) * 20 + 10, means, label=start, **style_of(place))
axes.axhline(np.log(10), color="black", linewidth=0.8)
axes.set_ylim(1.2, 2.8)
axes.set_xlabel("step")
axes.set_ylabel("loss, mean of 20 steps")
axes.grid(alpha=0.3)
axes.legend(fontsize=7)
ends = ", ".join(f"{start} {values[-20:].mean():.2f}" for start, values in losses.items())
figure(
    picture,
    f"LeNet's loss in the first {STEPS} steps on {train_set.source}, on {device}; the line at 2.30 is guessing; a "
    f"start without a line lies above the picture or has left the numbers. Mean of the last 20 steps: {ends}.",
)

# %% [markdown]
# Two hundred steps say when learning begins, not where it ends. What a plain uniform start costs over a full training is
# measured in notebook 11.
#
# ## 7 The step: SGD
#
# The gradient points uphill, so go down, by the *learning rate* $\eta$. **Momentum** keeps a velocity: a running sum of the
# gradients, in which what alternates cancels. **Weight decay** $\lambda$ adds the gradient of
# $\tfrac{\lambda}{2} \lVert p \rVert^2$. **Nesterov** looks ahead: it steps as if the next velocity were already known.
# In torch's order (Sutskever et al., 2013, write it slightly differently):
#
# $$g \leftarrow g + \lambda p, \qquad v \leftarrow \mu v + g, \qquad
# p \leftarrow p - \eta \cdot \begin{cases} v & \text{momentum} \\ g + \mu v & \text{Nesterov} \end{cases}$$


# %%
def sgd_step(p, g, v, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    g = g + weight_decay * p
    v = momentum * v + g
    return p - lr * (g + momentum * v if nesterov else v), v


# %% [markdown]
# Step by step against `torch.optim.SGD`, element by element: a least-squares problem, its gradient taken anew at each
# step, so that a mistake in one step would show in all that follow.

# %%
import functools

rng = np.random.default_rng(90)
A, b, p0 = rng.normal(size=(11, 5)) / 3, rng.normal(size=11), rng.normal(size=5)
eps = np.finfo(np.float64).eps

kinds = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "Nesterov": {"momentum": 0.9, "nesterov": True},
    "weight decay": {"momentum": 0.9, "weight_decay": 0.1},
}
mistakes = {  # what one gets wrong in sgd_step, and in which text
    "plain": ("uphill", "p - lr", "p + lr"),
    "momentum": ("the velocity forgotten", "momentum * v + g", "g"),
    "Nesterov": ("no look ahead", "if nesterov else v", "if False else v"),
    "weight decay": ("a decay of all by the same", "weight_decay * p", "weight_decay"),
}


def our_steps(p, options, step=sgd_step):
    v, path = np.zeros(5), []
    for _ in range(20):
        p, v = step(p, A.T @ (A @ p - b), v, lr=0.1, **options)
        path.append(p)
    return np.array(path)


def torch_steps(p, options):
    leaf, path = torch.tensor(p, requires_grad=True), []
    optimizer = torch.optim.SGD([leaf], lr=0.1, **options)
    for _ in range(20):
        optimizer.zero_grad()
        ((torch.tensor(A) @ leaf - torch.tensor(b)) ** 2 / 2).sum().backward()
        optimizer.step()
        path.append(leaf.detach().numpy().copy())
    return np.array(path)


# Some 30 roundings a step of numbers of order 1, which momentum may add up 1 / (1 - 0.9) = 10 times; and the steps
# before hand theirs on.
bound = 30 * 10 * eps * np.arange(1, 21)[:, None]
for kind, options in kinds.items():
    mistake, *texts = mistakes[kind]
    wrong = {mistake: functools.partial(our_steps, step=check.changed(sgd_step, *texts))}
    check.call(our_steps, p0, options, want=torch_steps(p0, options), bound=bound, mutants=wrong, name=kind)

# %% [markdown]
# `mt.optim.SGD` does the same by a compiled kernel. Its check takes three steps in each kind, in both precisions, and plants
# what one gets wrong: momentum, weight decay, dampening or the look ahead forgotten.

# %%
check("sgd", mt.optim.SGD)

# %% [markdown]
# **What momentum is for.** A valley, forty times as steep across as along. Across it, a learning rate above 1 diverges (the
# slope is $2p$), and below that plain SGD creeps along the bottom. With momentum the small steps add up.

# %%
steepness = np.array([0.05, 2.0])
picture = Figure(figsize=(9, 2.7), layout="constrained")
ends = {}
for axes, (kind, options) in zip(picture.subplots(1, 3, sharey=True), list(kinds.items())[:3]):
    p, v = np.array([-9.0, 2.0]), np.zeros(2)
    path = [p]
    for _ in range(30):
        p, v = sgd_step(p, steepness * p, v, lr=0.3, **(options | ({"momentum": 0.8} if options else {})))
        path.append(p)
    across, along = np.meshgrid(np.linspace(-10, 3, 100), np.linspace(-3, 3, 60))
    axes.contour(across, along, steepness[0] * across**2 + steepness[1] * along**2, 12, colors="0.75", linewidths=0.7)
    axes.plot(*np.array(path).T, marker="o", markersize=3, linewidth=1, color="#0072B2")
    axes.plot(0, 0, marker="*", markersize=11, color="#D55E00")
    axes.set_title(kind, fontsize=9, loc="left")
    ends[kind] = np.linalg.norm(p)
told = ", ".join(f"{kind} {distance:.2f}" for kind, distance in ends.items())
figure(picture, f"Thirty steps in a valley; the star is the lowest point. Distance from it at the end: {told}.")

# %% [markdown]
# ## 8 The compiled kernels
#
# **One launch for all.** LeNet has ten parameters, most of them small, and a launch has a fixed cost, however little it
# computes. So our kernel takes the list of all tensors as its argument, and every block finds its own in it.

# %% tags=["nbval-ignore-output"]
source("cuda/sgd.cu", "sgd_list")

# %% tags=["nbval-ignore-output"]
source("cuda/sgd.cu", "step_element")

# %% [markdown]
# The emulator counts the launches and sees every thread. The step is repeated on the CPU, and agrees:

# %%
state = {name: values.clone() for name, values in started(mt.models.LeNet, "Kaiming").state_dict().items()}
gradients = {name: mt.randn(*values.shape) for name, values in state.items()}


def one_step(device, state):
    model = mt.models.LeNet()
    model.load_state_dict(state)
    model.to(device)
    for name, parameter in model.named_parameters():
        parameter.grad = gradients[name].to(device)
    mt.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01).step()
    return {name: values.cpu() for name, values in model.state_dict().items()}


on_cpu = one_step("cpu", state)
within = {"reduction_length": 3, "magnitude": {name: abs(values.numpy()) + 1 for name, values in on_cpu.items()}}
no_decay = {"weight decay forgotten": ("weight_decay=0.01", "weight_decay=0.0")}
for kernel in ("one_launch_a_tensor", "multi_tensor"):
    with mt.use_kernel("sgd_step_", kernel), mt.simt.trace(limit=10_000_000) as trace:
        one_step("simt", state)
    with mt.use_kernel("sgd_step_", kernel):
        check.call(one_step, "simt", state, want=on_cpu, **within, mutants=no_decay, name=kernel)
    steps = [launch for launch in trace.launches if launch.kernel.startswith("sgd")]
    blocks = sum(launch.grid[0] for launch in steps)
    print(f"{kernel:>20}: launches: {len(steps):>2}, blocks of {steps[0].block[0]} threads in all: {blocks}")

# %% [markdown]
# **The draw.** Where do the first weights come from? Philox is no machine that remembers, but a function: it scrambles a
# *counter* with the *seed*, ten rounds of multiplying and exchanging halves (Salmon et al., 2011). So each thread makes
# its own numbers, and the same seed gives the same weights on every device, bit for bit.

# %% tags=["nbval-ignore-output"]
source("cuda/random.cu", "philox")


# %%
def drawn(where, seed=7):
    mt.manual_seed(seed)
    return mt.nn.init.uniform_(mt.empty(16, 6, 3, 3, device=where), -0.1, 0.1).cpu()


other_seed = {"another seed": lambda where: drawn(where, seed=8)}
check.call(drawn, "simt", want=drawn("cpu"), mutants=other_seed, name="CUDA kernel, C++ kernel")
print("the first three:", drawn("cpu").numpy().ravel()[:3].tolist())
check("uniform", backend.uniform)

# %% [markdown]
# ## 9 Schedules
#
# Large steps first, small ones later: a *schedule* changes the learning rate from epoch to epoch. The report divides it by
# ten after epoch 10. Each of ours changes the rate that it finds, as torch's do, and agrees with them:

# %%
schedules = {
    "MultiStepLR": {"milestones": [10], "gamma": 0.1},
    "StepLR": {"step_size": 4, "gamma": 0.5},
    "CosineAnnealingLR": {"T_max": 20},
}


def rates_of(name, options, framework=mt):
    optimizer = framework.optim.SGD([framework.zeros(1, requires_grad=True)], lr=0.01)
    schedule = getattr(framework.optim.lr_scheduler, name)(optimizer, **options)
    rates = []
    for _ in range(20):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return np.array(rates)


bound = 20 * 8 * eps * 0.01  # a few roundings an epoch, of 0.01 and below
early = {"an epoch early": ("rates = []", "rates = []; schedule.step()")}
for name, options in schedules.items():
    check.call(rates_of, name, options, want=rates_of(name, options, torch), bound=bound, mutants=early, name=name)

# %%
picture = Figure(figsize=(7, 2.6), layout="constrained")
axes = picture.subplots()
for place, (name, options) in enumerate(schedules.items()):
    axes.plot(
        range(20),
        rates_of(name, options),
        label=name,
        drawstyle="default" if name.startswith("Cos") else "steps-post",
        **style_of(place),
    )
axes.set_xlabel("epoch")
axes.set_ylabel("learning rate")
axes.grid(alpha=0.3)
axes.legend(fontsize=8)
figure(
    picture,
    "Three schedules over 20 epochs from 0.01: a tenth after epoch 10, a half every 4 epochs, half a cosine to 0.",
)

# %% [markdown]
# ## 10 Measure
#
# One step of all LeNet's parameters, by one call for all or by one call for each:

# %% tags=["nbval-ignore-output"]
from mytensor.timing import best_time

model = mt.models.LeNet().to(device)
for parameter in model.parameters():
    parameter.grad = mt.zeros_like(parameter.detach())
together = mt.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
apart = [mt.optim.SGD([parameter], lr=0.0, momentum=0.9) for parameter in model.parameters()]


def step_together():
    together.step()
    backend.synchronize(device)


def step_apart():
    for optimizer in apart:
        optimizer.step()
    backend.synchronize(device)


for name, call in (("one call for all", step_together), ("one call for each", step_apart)):
    print(f"{name:>18}: {best_time(call) * 1e6:6.0f} µs, on {device}")

# %% [markdown]
# ## 11 Exercises
#
# **The bound of Kaiming's draw** from the shape of a weight, (out, in) or (out, in, kh, kw): the $a$ of a uniform draw from
# $[-a, a)$ in a network with ReLUs.


# %% tags=["exercise"]
def kaiming_bound(weight):
    return ...


# %%
from mytensor import exercise

exercise("09.1", kaiming_bound)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# How many products are summed into one output? In a convolution each output pixel sees all input channels through a whole
# kernel.
# </details>
# <details>
# <summary>Hint 2</summary>
#
# $\mathrm{Var}(w) = 2/n$, and a uniform draw from $[-a, a)$ has variance $a^2/3$.
# </details>


# %% tags=["solution"]
# Solution
def kaiming_bound_solution(weight):
    fan_in = np.prod(weight.shape[1:])
    return np.sqrt(6 / fan_in)


# %% [markdown]
# **Adam's step.** Adam keeps two running averages, of the gradient, $m$, and of its square, $v$, both from 0, and divides
# one by the root of the other: each element gets a step of about $\eta$, however small its gradient. In step $t = 1, 2,
# \dots$ (Kingma and Ba, 2015; the constants are torch's):
#
# $$m \leftarrow 0.9\, m + 0.1\, g, \quad v \leftarrow 0.999\, v + 0.001\, g^2, \quad
# \hat m = \frac{m}{1 - 0.9^t}, \quad \hat v = \frac{v}{1 - 0.999^t}, \quad
# p \leftarrow p - \eta \frac{\hat m}{\sqrt{\hat v} + 10^{-8}} .$$
#
# Return the new parameter, `m` and `v`. (`t` is a whole number; three steps are taken and held against `torch.optim.Adam`.)


# %% tags=["exercise"]
def adam_step(parameter, gradient, m, v, t, lr):
    return ...


# %%
exercise("09.2", adam_step)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# New averages first, then the step with them. What you return as `m` and `v` are the averages themselves, not the corrected
# ones.
# </details>
# <details>
# <summary>Hint 2</summary>
#
# The $10^{-8}$ stands behind the root, not under it.
# </details>


# %% tags=["solution"]
# Solution
def adam_step_solution(parameter, gradient, m, v, t, lr):
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    step = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return parameter - lr * step, m, v


# %% [markdown]
# **One thread of the multi-tensor kernel.** The blocks of a launch are numbered through: first those of tensor 0, as many as
# cover its `sizes[0]` elements with `threads` threads each, then those of tensor 1, and so on. Which tensor, and which
# element of it, is that of thread `thread` in block `block`? Return the pair. (Threads behind a tensor's end give an
# element that does not exist; the kernel's `if` sends them home.)


# %% tags=["exercise"]
def find_element(block, thread, sizes, threads):
    return ...


# %%
exercise("09.3", find_element)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# A tensor of `size` elements has `-(-size // threads)` blocks: the division, rounded up.
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Go through the tensors. As long as the block is not among a tensor's own, take that tensor's blocks off its number.
# </details>


# %% tags=["solution"]
# Solution
def find_element_solution(block, thread, sizes, threads):
    blocks = [-(-size // threads) for size in sizes]
    tensor = 0
    while block >= blocks[tensor]:
        block -= blocks[tensor]
        tensor += 1
    return tensor, block * threads + thread


# %% [markdown]
# ## What you built
#
# - A module: a tree of attributes, whose names carry weights from one framework to another.
# - The rule for the first draw, $\mathrm{Var}(w) = 2/n$, from three lines about variances, and what happens without it.
# - SGD with momentum, Nesterov and weight decay in three lines, equal to torch's at each step, and the kernel that takes the
#   step for all tensors in one launch.
#
# <!-- links -->
