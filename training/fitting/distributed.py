"""Train on several machines at once. Each computes its own share of every batch, and all take the same steps.

    TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:9000", "10.0.0.2:9000"]}, "task": {"type": "worker", "index": 0}}' \\
        python -m training.train --distribute multiworker --out runs/together

Give the same command on every machine, each with its own `index` and the files that the command names. Only worker 0, the
chief, judges and writes `--out`. It sends its weights to the others when the training starts, also after a kill. A machine
uses one GPU.

`tf.distribute` connects the workers and adds up what they computed. Keras' own `fit` takes the steps on each of them, as it
does on one machine: a worker's network and optimizer are its own, and gradients that are added up before each step keep them
equal. Together they do what one would do alone, except for dropout, and for batch normalization, whose statistics come from
each worker's own share.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from common.errors import ClusterError
from training.fitting.cluster import Cluster

if TYPE_CHECKING:
    import keras

    from training.fitting.batches import Batches

WAIT_SECONDS = 300.0  # for all to be there, with their data loaded
_CONNECT_SECONDS = 60.0  # for TensorFlow, once all are there
_SILENT_SECONDS = 30  # a worker that is silent for so long is lost; TensorFlow's own choice is 10
_SLOWEST_SECONDS = 1800  # between two steps: the chief judges and saves meanwhile
_UNCONNECTED = (
    "TensorFlow can't connect the workers; see that each can reach all the others at their addresses in TF_CONFIG, and "
    "start all of them again."
)
_LOST = "Another worker was lost or can't be reached; give the same command on all of them to go on from the last epoch."


class Workers:
    """The processes that train together. Make it once they have met and before TensorFlow computes anything."""

    def __init__(self, cluster: Cluster) -> None:
        """Connects them, as `TF_CONFIG` says. Raises ClusterError; where TensorFlow hangs, kills the process with a word."""
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        hosts = [cluster.host_and_port(index)[0] for index in range(len(cluster.addresses))]
        os.environ |= {"no_grpc_proxy": ",".join(hosts)}  # otherwise gRPC would ask an `http_proxy` for them
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # it would write a line for every sum between epochs
        self.index, self.count = cluster.index, len(cluster.addresses)
        options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=_SLOWEST_SECONDS)
        stop = signal.getsignal(signal.SIGTERM)
        with _killed_after(_CONNECT_SECONDS, _UNCONNECTED):
            try:
                # A sum would count a machine once for each GPU that it has.
                tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[:1], "GPU")
                _be_patient(self.count)
                self._strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
                self.total([tf.constant(0.0)])
            except (tf.errors.OpError, RuntimeError) as error:
                raise ClusterError(_UNCONNECTED) from error
            finally:
                signal.signal(signal.SIGTERM, stop)  # TensorFlow sets a handler of its own, which does nothing

    @property
    def chief(self) -> bool:
        return self.index == 0

    @property
    def share(self) -> slice:
        """This worker's rows of every batch."""
        return slice(self.index, None, self.count)

    def total(self, tensors: list) -> list:
        """The sums over all workers. Every worker must ask for them at the same point. Works inside a `tf.function`, too."""
        import tensorflow as tf

        def reduce(mine: list) -> list:
            here = [tf.identity(tensor) for tensor in mine]  # on this replica's device, as all_reduce requires
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)

        return self._strategy.run(reduce, args=(tensors,))

    def tell(self, values: list[np.ndarray]) -> list[np.ndarray]:
        """The chief's values, numbers of the same shapes on all workers."""
        import tensorflow as tf

        mine = [tf.convert_to_tensor(v if self.chief else np.zeros_like(v)) for v in values]
        return [np.asarray(v) for v in self.total(mine)]


def _be_patient(count: int) -> None:
    """Lets a worker be silent for a while. TensorFlow has no public way for that."""
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
    from tensorflow.python.eager import context

    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        coordinated_jobs=[coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=count)],
        heartbeat_timeout_in_ms=_SILENT_SECONDS * 1000,
    )


# Ends when its input does; else, and on Ctrl-C, says a sentence and kills.
_WATCH = """if True:
    import os, signal, sys, threading, time
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    sentence = sys.argv[3]
    try:
        time.sleep(float(sys.argv[2]))
    except KeyboardInterrupt:
        sentence = "Stopped."
        time.sleep(2)  # in which the process may end by itself
    print(sentence, file=sys.stderr, flush=True)
    os.kill(int(sys.argv[1]), getattr(signal, "SIGKILL", signal.SIGTERM))"""


@contextlib.contextmanager
def _killed_after(seconds: float, sentence: str) -> Iterator[None]:
    """Kills this process if the block hangs in TensorFlow, which then lets no thread and no signal through.

    Ctrl-C in a terminal also reaches the process that kills.
    """
    command = [sys.executable, "-I", "-c", _WATCH, str(os.getpid()), str(seconds), sentence]
    try:
        errors: int | None = sys.stderr.fileno()  # which is not always where native code writes
    except (AttributeError, OSError, ValueError):
        errors = None
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors) as watch:
        try:
            yield
        finally:
            watch.kill()


def fit_together(
    model: keras.Model,
    batches: Batches,
    workers: Workers,
    *,
    seed: int,
    epochs: int,
    first: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Trains the compiled `model` from epoch `first` as `fit` would on one machine. Epoch and weights are the chief's.

    `batches` draws this worker's share. `callbacks` are called with the loss over all workers, and only on the chief; the
    others wait for it at the end of an epoch. Raises ClusterError if another worker is lost.
    """
    import tensorflow as tf

    if batches.whole < workers.count:
        raise ClusterError(
            f"A batch of {batches.whole} faces can't be shared by {workers.count} workers; use fewer workers."
        )
    try:
        first = int(workers.tell([np.array(first)])[0])
        _take_from_chief(workers, [*model.variables, *model.optimizer.variables])
        if first < epochs:
            batches.start(first)
            _add_up_gradients(model.optimizer, workers, batches.part)
            callbacks = _in_step(model, workers, seed, batches.part, callbacks if workers.chief else [])
            model.fit(batches, epochs=epochs, initial_epoch=first, verbose=0, shuffle=False, callbacks=callbacks)
    except tf.errors.ResourceExhaustedError as error:
        raise ClusterError("This machine has too little memory for its share of a batch; use more machines.") from error
    except tf.errors.OpError as error:  # TensorFlow has many ways to say that a worker is lost
        raise ClusterError(_LOST) from error


def _add_up_gradients(optimizer: keras.Optimizer, workers: Workers, part: float) -> None:
    """`part`: the share of a whole batch that this worker draws; shares may differ by one row."""
    usual = optimizer.apply_gradients

    def apply_gradients(pairs: Iterable[tuple[Any, Any]]) -> Any:
        gradients, variables = zip(*pairs, strict=True)
        return usual(zip(workers.total([part * gradient for gradient in gradients]), variables, strict=True))

    optimizer.apply_gradients = apply_gradients


def _in_step(
    model: keras.Model, workers: Workers, seed: int, part: float, callbacks: list[keras.callbacks.Callback]
) -> list[keras.callbacks.Callback]:
    """`callbacks`, between those that join what the workers found in an epoch and that end the training for all."""
    from keras.callbacks import LambdaCallback
    from keras.layers import Dropout

    def join(_: int, logs: dict) -> None:
        # Batch normalization's running means: until now each worker had its own, and the mean of means is the mean.
        means = [v for v in model.non_trainable_variables if v.dtype.startswith(("float", "bfloat"))]
        if means:
            for variable, total in zip(means, workers.total([v.value for v in means]), strict=True):
                variable.assign(total / workers.count)
        logs["loss"] = float(workers.total([np.float64(part * logs["loss"])])[0])

    def end_together(_: int, logs: dict) -> None:
        model.stop_training = bool(workers.tell([np.array(int(model.stop_training))])[0])

    def vary_dropout(epoch: int, _: dict) -> None:
        """Each worker has its own dice, new ones in every epoch, and the same in a training that goes on after a kill."""
        for layer in model.layers:
            if isinstance(layer, Dropout):
                layer.seed_generator.state.assign([seed + 1_000_003 * workers.index, epoch])

    joined = LambdaCallback(on_epoch_begin=vary_dropout, on_epoch_end=join)
    return [joined, *callbacks, LambdaCallback(on_epoch_end=end_together)]


def _take_from_chief(workers: Workers, variables: list) -> None:
    known = [variable for variable in variables if "seed_generator" not in variable.path]
    for variable, value in zip(known, workers.tell([np.asarray(v) for v in known]), strict=True):
        variable.assign(value)
