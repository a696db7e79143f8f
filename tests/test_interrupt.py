"""The notebook's stop button while a cell trains: in a real Jupyter kernel, with the signal that Jupyter sends."""

import contextlib
import json

import pytest

jupyter_client = pytest.importorskip("jupyter_client")

SET_UP = """
import hashlib, json, signal, threading
import mytensor as mt
from mytensor.data import synthetic
from mytensor.training import Recipe, Trainer

mt.set_num_threads(1)
train_set, test_set = synthetic(600, seed=0), synthetic(200, seed=1)

def new_trainer(checkpoint=None):
    mt.manual_seed(0)
    return Trainer(mt.models.LeNet(), train_set, test_set, Recipe(epochs=3), checkpoint)

def result(trainer):
    weights = b"".join(value.array.numpy().tobytes() for value in trainer.model.state_dict().values())
    history = [[row["train_loss"], row["test_loss"], row["test_accuracy"]] for row in trainer.history]
    return json.dumps([hashlib.sha256(weights).hexdigest(), history])
"""

# The step waits for the signal, so that it comes in this step however fast the machine is.
TRAIN = """
trainer = new_trainer({checkpoint!r})
step = trainer.train_step

def waiting_step(images, labels):
    if trainer.epoch == 1 and trainer.step == 5:
        of_fit, arrived = signal.getsignal(signal.SIGINT), threading.Event()
        signal.signal(signal.SIGINT, lambda *arguments: (of_fit(*arguments), arrived.set()))
        print("under way", flush=True)
        assert arrived.wait(60)
    return step(images, labels)

trainer.train_step = waiting_step
trainer.fit()
"""


class Kernel:
    """A running kernel, and one cell at a time in it."""

    def __init__(self, manager, client):
        self.manager, self.client = manager, client

    def run(self, code: str, stop_at: str | None = None) -> tuple[dict, str]:
        """Runs a cell; returns the reply and what it printed. stop_at: interrupt the cell when it prints this."""
        request = self.client.execute(code)
        printed, stopped = "", False
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                break
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed += content["text"]
            if stop_at is not None and not stopped and stop_at in printed:
                self.manager.interrupt_kernel()
                stopped = True
        assert stop_at is None or stopped, f"the cell never printed {stop_at!r}"
        return self.client.get_shell_msg(timeout=120)["content"], printed


@pytest.fixture
def kernel(tmp_path):
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    yield Kernel(manager, client)
    with contextlib.suppress(RuntimeError):
        client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_the_stop_button_ends_the_cell_and_training_goes_on_in_the_same_bits(kernel, tmp_path):
    checkpoint = str(tmp_path / "runs" / "stopped.safetensors")
    reply, wanted = kernel.run(SET_UP + "whole = new_trainer(); whole.fit(progress=False); print(result(whole))")
    assert reply["status"] == "ok", reply

    reply, _ = kernel.run(TRAIN.format(checkpoint=checkpoint), stop_at="under way")
    assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
    assert reply["evalue"].startswith(f"stopped in epoch 2, after 6 of its 10 steps; saved to {checkpoint}.")

    # The kernel lives, the trainer goes on where it stands, and another one where the file stands.
    resume = f"new = new_trainer({checkpoint!r}); new.resume(); print(new.epoch, new.step); new.fit(progress=False)"
    reply, printed = kernel.run(resume + "; print(result(new))")
    assert reply["status"] == "ok", reply
    place, resumed = printed.splitlines()
    assert place == "1 6"
    assert json.loads(resumed) == json.loads(wanted)
    reply, gone_on = kernel.run("trainer.fit(progress=False); print(result(trainer))")
    assert reply["status"] == "ok", reply
    assert json.loads(gone_on) == json.loads(wanted)


def test_without_a_checkpoint_the_sentence_says_so(kernel):
    kernel.run(SET_UP)
    reply, _ = kernel.run(TRAIN.format(checkpoint=None), stop_at="under way")
    assert reply["ename"] == "KeyboardInterrupt"
    assert "nothing was saved" in reply["evalue"] and "fit() goes on from here" in reply["evalue"]
