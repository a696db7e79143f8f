"""The framework's functions under the names that mytensor.check knows them by.

Shared by test_check.py and test_mutants.py.
"""

import mytensor_backend as backend

import mytensor as mt
import mytensor.nn.functional as F
from mytensor import ops, training

FUNCTIONS = {
    "conv2d": F.conv2d,
    "unfold": F.unfold,
    "fold": F.fold,
    "linear": F.linear,
    "max_pool2d": F.max_pool2d,
    "avg_pool2d": F.avg_pool2d,
    "nll_loss": F.nll_loss,
    "cross_entropy": F.cross_entropy,
    "sgd": mt.optim.SGD,
    "kaiming_uniform": mt.nn.init.kaiming_uniform_,
    "xavier_uniform": mt.nn.init.xavier_uniform_,
    "uniform": backend.uniform,
    "normal": backend.normal,
    "gather_batch": backend.gather_batch,
    "training_step": training.train_step,
    "evaluate": training.evaluate,
}
_SAME_NAME = """
    matmul relu softmax log_softmax logsumexp neg abs sqrt exp log tanh sigmoid add sub mul div pow maximum minimum
    eq ne lt le gt ge where sum mean amax amin argmax broadcast_to reshape permute transpose cat narrow index_select
"""
FUNCTIONS.update({name: getattr(ops, name) for name in _SAME_NAME.split()})
