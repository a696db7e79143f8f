# %% [markdown]
# # 07 · Cross-entropy, and the log-sum-exp that saves it
#
# *35 minutes · before: 06 · <!-- links -->*
#
# **The question.** The last layer gives ten numbers an image, the *logits*. How wrong are they, in one number that has a gradient, and that stays a number when the logits
# are large?

#
# ```mermaid
# flowchart LR
#     Z["logits z"] -- softmax --> P["probabilities p"] -- "-log p of the right class" --> L["loss"]
#     Z -- "log-sum-exp(z) - z of the right class: the same, and safe" --> L
# ```

# %% [markdown]
# ## 1 From logits to a loss
#
# Softmax turns logits $z$ into probabilities; the loss is the surprise at the right class $t$:
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad L = -\log p_t .$$
#
# Typed as it stands:

# %%
import numpy as np


def naive_loss(z, t):
    e = np.exp(z)
    return -np.log(e[t] / e.sum())


z = np.array([2.0, 1.0, -1.0], dtype=np.float32)
print(f"{naive_loss(z, 0):.6f}")

# %% [markdown]
# ## 2 Where it breaks
#
# float32 ends at about $3.4 \cdot 10^{38} \approx e^{88.7}$. A logit of 100 is nothing unusual in an untrained or badly scaled net:

# %%
with np.errstate(all="ignore"):
    for scale in (1, 10, 40, 100, 10_000):
        print(
            f"logits x {scale:>6}: right class {naive_loss(z * np.float32(scale), 0):>8.4f}   wrong class {naive_loss(z * np.float32(scale), 2):>8.4f}"
        )

# %% [markdown]
# Two failures: `exp` overflows (inf / inf is nan), and where it does not, the small probability underflows to 0 and its logarithm is infinite, although the true loss is a modest
# number: for scale 40 it is $80 + 40 = 120$.
#
# ## 3 Log-sum-exp
#
# Do not divide and then take the logarithm: take the logarithm on paper. And any constant can be pulled out of the sum:
#
# $$L = \log \sum_j e^{z_j} - z_t, \qquad \log\sum_j e^{z_j} = m + \log\sum_j e^{z_j - m}, \quad m = \max_j z_j .$$
#
# Now every exponent is at most 0, and one of them is exactly 0, so the sum lies between 1 and the number of classes. Nothing can overflow, and the logarithm never sees 0.
# (Blanchard, Higham and Higham, *Accurately computing the log-sum-exp and softmax functions*, 2021.)


# %%
def stable_loss(z, t):
    m = z.max()
    return np.log(np.exp(z - m).sum()) - (z[t] - m)


for scale in (1, 10, 40, 100, 10_000):
    print(
        f"logits x {scale:>6}: right class {stable_loss(z * np.float32(scale), 0):>8.4f}   wrong class {stable_loss(z * np.float32(scale), 2):>12.4f}"
    )

# %% [markdown]
# Against torch, at ordinary logits and at $10^4$:

# %%
import torch
from mytensor import check


def losses(logits, target, loss=stable_loss):
    return np.array([loss(z, t) for z, t in zip(logits, target)])


rng = np.random.default_rng(7)
logits, target = rng.normal(size=(10, 7)), rng.integers(0, 7, size=10)
logits[5:] *= 10_000
theirs = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(target), reduction="none")
within = {"reduction_length": 7, "magnitude": 2 * abs(logits).max(axis=1) + 1}
not_subtracted = {"the maximum not subtracted": lambda logits, target: losses(logits, target, naive_loss)}
check.call(losses, logits, target, want=theirs, **within, mutants=not_subtracted, name="stable_loss")

# %% [markdown]
# ## 4 The compiled kernels
#
# The backend has both, side by side: `naive` is there to be seen failing, `log_sum_exp` serves.

# %%
import mytensor_backend

for kernel in mytensor_backend.kernels("cross_entropy", device="cpu"):
    print(f"{kernel['name']:>12}  {kernel['description']}")

# %%
import mytensor as mt
import mytensor.nn.functional as F

logits = mt.tensor([[20_000.0, 10_000.0, -10_000.0]])
target = mt.tensor([2])
for name in ("naive", "log_sum_exp"):
    with mt.use_kernel("cross_entropy", name):
        print(f"{name:>12}: loss {F.cross_entropy(logits, target).item()}")

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.source import source

source("cpu/cross_entropy.cpp", "cross_entropy_log_sum_exp")

# %%
check("cross_entropy", F.cross_entropy)

# %% [markdown]
# ## 5 The gradient is $p - y$
#
# Differentiate $L = \log \sum_j e^{z_j} - z_t$: the first term gives the softmax, the second the one-hot vector $y$ of the right class.
#
# $$\frac{\partial L}{\partial z_k} = p_k - y_k$$
#
# No division by a small probability, no overflow: this is why softmax and the logarithm are one op.


# %%
def gradient(z):
    leaf = mt.tensor(z, requires_grad=True)
    F.cross_entropy(leaf, t, reduction="sum").backward()
    return leaf.grad


z, t = rng.normal(size=(4, 5)), mt.tensor(np.array([1, 0, 4, 2]))
p, y = F.softmax(mt.tensor(z), dim=1).numpy(), np.eye(5)[t.numpy()]
divided = {"divided by the batch": ('reduction="sum"', 'reduction="mean"')}
check.call(gradient, z, want=p - y, reduction_length=5, magnitude=p + y, mutants=divided, name="p - y")
print("each row of the gradient sums to 0:", bool(np.abs(gradient(z).numpy().sum(axis=1)).max() < 1e-15))

# %% [markdown]
# ## 6 Look inside
#
# Three logits on sliders. Left the naive kernel's probabilities and loss, right log-sum-exp's. Push one to 90 and beyond.

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.cross_entropy import CrossEntropyInspector

inspector = CrossEntropyInspector(logits=(2.0, 1.0, -1.0), target=0)
inspector

# %% [markdown]
# What you chose is known here too:

# %% tags=["nbval-ignore-output"]
{name: result["loss"] for name, result in inspector.results.items()}

# %% [markdown]
# ## 7 Divide by the batch once
#
# The mean over a batch of $N$ divides the loss **and** the gradient by $N$. Divide a second time, in the kernel *and* in the training loop, say, and nothing looks broken: the loss
# still falls, just 64 times as slowly at batch 64, as if the learning rate were 0.01 / 64. A check of the gradient against torch sees it at once; a falling loss never will.


# %%
def gradient_of_mean(logits):
    ours = mt.tensor(logits, requires_grad=True)
    F.cross_entropy(ours, mt.tensor(target)).backward()
    return ours.grad


def divided_twice(logits):
    return gradient_of_mean(logits) / 64


logits = rng.normal(size=(64, 10)).astype(np.float32)
target = rng.integers(0, 10, size=64)
theirs = torch.tensor(logits, requires_grad=True)
torch.nn.functional.cross_entropy(theirs, torch.tensor(target)).backward()

within = {"reduction_length": 10, "magnitude": (F.softmax(mt.tensor(logits), dim=1).numpy() + 1) / 64}
check.call(gradient_of_mean, logits, want=theirs.grad, **within, mutants={"divided twice": divided_twice})
ratio = (divided_twice(logits).numpy() / theirs.grad.numpy()).mean()
print(f"divided twice: the gradient is {ratio:.6f} of torch's")

# %% [markdown]
# ## 8 Which scaling was the report's?
#
# The report prints losses of 0.03 to 0.09 for its own framework and 0.2 to 2.3 for PyTorch's, beside a test accuracy of
# 54 % against PyTorch's 67 %. Its loss must be divided once too often. By what, and in the gradient or only in what is
# displayed? The ablation of that cause alone trains LeNet from the same weights on the same batches, and divides the
# loss before `backward()`: not at all, by the batch of 64 once more, or by the 10 classes. What it measured:
#
#     python -m mytensor ablate --epochs 10 --seeds 0 --causes scale --scaling batch_twice --no-times --json FILE
#     python -m mytensor ablate --epochs 10 --seeds 0 --causes scale --scaling classes --no-times --json FILE

# %%
from mytensor import compare

scaled = compare.load_ablation(compare.results_folder() / "loss_scaling.json")
recipe = scaled["recipe"]
print(f"{scaled['data']['source']}, {recipe['epochs']} epochs, SGD with learning rate {recipe['lr']}")
print("the gradient is of           true loss, first to last epoch   test accuracy at the end")
for run in scaled["runs"]:
    loss, accuracy = run["train_loss"], run["test_accuracy"]
    what = compare.SCALINGS[run["scaling"]].what
    print(f"{what:27}  {loss[0]:8.3f} to {loss[-1]:.3f}             {accuracy[-1]:16.1%}")

# %% [markdown]
# And what would be displayed, the true loss divided by 64 or by 10, for each of the three trainings? It *fits* if it
# stays between 0.03 and 0.09 from the first epoch to the last.

# %%
for run in scaled["runs"]:
    for divisor in (64, 10):
        shown = [loss / divisor for loss in run["train_loss"]]
        fits = "fits" if all(0.03 <= loss <= 0.09 for loss in shown) else ""
        print(f"gradient {run['scaling']:12} displayed / {divisor}: {shown[0]:.3f} to {shown[-1]:.3f}  {fits}")

# %% [markdown]
# What these runs show, and no more: in ten epochs of this recipe, **one division too many explains the losses or the
# accuracy, not both**. Divided by the batch once more, in the gradient too, the displayed losses fit; but that net has
# learnt far too little. Divided by the classes, the accuracy comes near 54 %; but its losses stay above 0.09, or, shown
# divided by 64, soon fall below 0.03. If only the display is wrong, the net learns more than the report's did.
#
# What they cannot show: other seeds (this is one), other learning rates, other numbers of epochs, other batch sizes. The report does not state its
# number of epochs, and with a loss divided by $d$ the learning rate is what it was, divided by $d$: a longer training
# or a larger rate moves the accuracy. Notebook 11 goes through the other suspects.

# %% [markdown]
# ## 9 Exercises
#
# **Before you train.** An untrained network knows nothing: all ten probabilities are alike. What is its loss? (Whoever sees another number at step 0 has found a bug.)

# %% tags=["exercise"]
loss_of_a_guess = ...

# %%
from mytensor import exercise

exercise("07.1", loss_of_a_guess)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# Each probability is 1/10, and the loss is $-\log p_t$, with the natural logarithm.
# </details>

# %% tags=["solution"]
# Solution
loss_of_a_guess_solution = np.log(10)  # about 2.3026

# %% [markdown]
# **Log-sum-exp** for a whole batch: `logits` is (N, K), wanted is one number a row. It must hold for logits of $10^4$ as well.


# %% tags=["exercise"]
def log_sum_exp(logits):
    return ...


# %%
exercise("07.2", log_sum_exp)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `logits.max(axis=1, keepdims=True)` is one maximum a row, shaped (N, 1), so that it can be subtracted from (N, K).
# </details>
# <details>
# <summary>Hint 2</summary>
#
# What was taken out before `exp` must be added after `log`. `m[:, 0]` has the shape (N,) again.
# </details>


# %% tags=["solution"]
# Solution
def log_sum_exp_solution(logits):
    m = logits.max(axis=1, keepdims=True)
    return m[:, 0] + np.log(np.exp(logits - m).sum(axis=1))


# %% [markdown]
# **A backward rule.** With label smoothing $\varepsilon$ the target is no longer $y$ but $(1-\varepsilon)\,y + \varepsilon / K$. Write the gradient of the *mean* loss of a batch by its logits. `target` holds the right classes, shaped (N,).


# %% tags=["exercise"]
def smoothed_gradient(logits, target, smoothing):
    return ...


# %%
exercise("07.3", smoothed_gradient)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# The derivation of section 5 did not use that $y$ is one-hot, only that it sums to 1. So the gradient is $p$ minus the target, whatever that is.
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `np.eye(K)[target]` makes one-hot rows. A mean over N images divides by N, once.
# </details>


# %% tags=["solution"]
# Solution
def smoothed_gradient_solution(logits, target, smoothing):
    classes = logits.shape[1]
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    y = np.eye(classes)[target]
    wanted = (1 - smoothing) * y + smoothing / classes
    return (p - wanted) / len(logits)


# %% [markdown]
# ## What you built
#
# - A loss that is right for any finite logits, because the maximum is taken out before `exp` and the division is done on paper.
# - Its gradient, $p - y$: the reason why softmax and loss are fused.
# - An eye for the scaling bug that only a comparison of gradients shows, and for how far a few runs can explain one.
#
# <!-- links -->
