"""One tower on Triton, asked over gRPC; Triton makes the batches."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Generic, Literal, TypeVar

import grpc
import numpy as np
import numpy.typing as npt
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from omma.errors import Absent, Corrupt, InvalidQuery, OmmaError, OutOfTime, ReplicaDown, WrongSpace
from omma.persistence import until_there
from omma.rpc.channel import call
from omma.rpc.deadline import Deadline
from omma.telemetry.context import run_in
from omma.telemetry.metrics import EMBED_BATCH_ITEMS, EMBED_SECONDS
from omma.telemetry.traces import span
from omma.vectors import Float32
from services.egs.client import Urgency
from services.egs.manifest import ImageTower, Manifest, TextTower
from services.egs.running import Batch
from services.egs.tower import first_fault, stamped_rows
from services.egs.triton.gate import Gate
from services.egs.triton.naming import SIGNATURE, VERSION, Kind, outputs_of, signature_of, triton_name

Job = TypeVar("Job")

_FLOATS: Final = ("FP32", np.dtype("<f4"))
_TOKENS: Final = ("INT64", np.dtype("<i8"))
_PIXELS: Final = ("UINT8", np.dtype(np.uint8))
"""What an image tower takes that normalises for itself: a quarter of the bytes, and nothing to be made of them here."""
_PEER: Final = "Triton"
_MICROSECONDS: Final = 1_000_000
_READY_SECONDS: Final = 2.0


class TritonTower(Generic[Job]):
    """RunningTower of a served model. The channel, the gate and the executor are its owner's to close."""

    def __init__(
        self,
        manifest: Manifest,
        kind: Kind,
        batch: Batch[Job],
        *,
        channel: grpc.aio.Channel,
        gate: Gate,
        executor: ThreadPoolExecutor,
        timeout_seconds: float,
    ) -> None:
        """executor: where jobs become tensors. timeout_seconds: of one request, when the deadline is later."""
        tower = manifest.text if kind == "text" else manifest.image
        if tower is None:
            raise ValueError(f"{manifest.reference} has no {kind} tower")
        self._tower: ImageTower | TextTower = tower
        self._shapes = outputs_of(manifest, kind)
        self._manifest = manifest
        self._signature = signature_of(manifest, kind)
        self._eats: Literal["image", "text"] = "text" if kind == "text" else "image"
        self._datatype = _TOKENS if kind == "text" else _FLOATS
        self._batch = batch
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        self._gate = gate
        self._executor = executor
        self._timeout_seconds = timeout_seconds
        self._name = triton_name(manifest, kind)
        self._max_batch = 1
        self._takes_pixels = False

    async def check(self, patience_seconds: float | None = None) -> None:
        """Wait until Triton has the model, and see that it is this entry's. patience_seconds: None for ever.

        Raises Absent when it is not there in time, ReplicaDown or OutOfTime when Triton is not; WrongSpace for another
        entry's towers under this name.
        """
        waited_for = f"Triton's {self._name}"
        config = await until_there(waited_for, self._config, patience_seconds=patience_seconds)
        signature = config.parameters[SIGNATURE].string_value if SIGNATURE in config.parameters else ""
        if signature != self._signature:
            raise WrongSpace(
                f"Triton's {self._name} has signature {signature or 'none'}, and {self._manifest.reference} has "
                f"{self._signature}: render it again with omma model triton-repo.",
                field="OMMA_TRITON__URL",
            )
        self._max_batch = max(1, config.max_batch_size)
        self._takes_pixels = config.input[0].data_type == model_config_pb2.TYPE_UINT8

    async def run(self, job: Job, deadline: Deadline, urgency: Urgency = Urgency.SEARCH) -> Float32:
        """As RunningTower; a tower that is not its manifest's is Corrupt, a Triton that is gone ReplicaDown."""
        async with self._gate.entered(deadline):
            tensor = np.asarray(job) if self._takes_pixels else await run_in(self._executor, self._batch, [job])
            parts = [tensor[at : at + self._max_batch] for at in range(0, len(tensor), self._max_batch)]
            made = [row for part in parts for row in await self._infer(part, deadline, urgency)]
        vectors = first_fault(made)
        if isinstance(vectors, Exception):
            raise vectors
        return vectors

    async def ready(self) -> bool:
        """Whether Triton says that it serves the model."""
        try:
            await self._require_ready()
        except OmmaError:
            return False
        return True

    async def close(self) -> None:
        """Nothing: what is under way ends with its channel."""

    async def _infer(self, tensor: npt.NDArray[Any], deadline: Deadline, urgency: Urgency) -> list[Float32 | Exception]:
        left = min(deadline.require(), self._timeout_seconds)
        try:
            with span("triton"), EMBED_SECONDS.labels(self._eats).time():
                request = self._request(tensor, left, urgency)
                answer = await call(self._stub.ModelInfer, request, Deadline.after(left), _PEER)
        except InvalidQuery as error:  # the request is ours: nothing that a caller sends can make it invalid
            raise Corrupt(f"Triton's {self._name} is not what its manifest says.") from error
        except Absent as error:
            raise ReplicaDown(f"Triton no longer has {self._name}.") from error
        except OutOfTime as error:
            if deadline.remaining_seconds() > 0:
                raise ReplicaDown(f"Triton did not answer within {self._timeout_seconds} s.") from error
            raise
        EMBED_BATCH_ITEMS.labels(self._eats).observe(len(tensor))
        rows, *second = self._outputs_of(answer, len(tensor))
        return stamped_rows(rows, second[0] if second else None, self._eats)

    def _request(self, tensor: npt.NDArray[Any], timeout_seconds: float, urgency: Urgency) -> Any:
        datatype, dtype = _PIXELS if self._takes_pixels else self._datatype
        request = service_pb2.ModelInferRequest(model_name=self._name, model_version=VERSION)
        request.inputs.add(name=self._tower.input, datatype=datatype, shape=tensor.shape)
        for output in self._shapes:
            request.outputs.add(name=output)
        request.raw_input_contents.append(np.ascontiguousarray(tensor, dtype).tobytes())
        # What waits longer in Triton's queue is dropped there: nobody waits for it any more.
        request.parameters["timeout"].int64_param = int(timeout_seconds * _MICROSECONDS)
        # A repository that was rendered before it had levels takes it, and heeds it not.
        request.parameters["priority"].int64_param = urgency.value
        return request

    def _outputs_of(self, answer: Any, count: int) -> list[Float32]:
        """In the order of the manifest: vectors, and the confidence of a text tower that has one, or windows."""
        said = {output.name: (output.datatype, list(output.shape)) for output in answer.outputs}
        expected = {name: ("FP32", [count, *(shape or [1])]) for name, shape in self._shapes.items()}
        if said != expected:
            raise Corrupt(f"Triton's {self._name} gives {said}, and its manifest says {expected}.")
        contents = {one.name: raw for one, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)}
        return [np.frombuffer(contents[name], "<f4").reshape(count, *shape) for name, shape in self._shapes.items()]

    async def _config(self) -> Any:
        await self._require_ready()
        asked = service_pb2.ModelConfigRequest(name=self._name, version=VERSION)
        return (await call(self._stub.ModelConfig, asked, Deadline.after(_READY_SECONDS), _PEER)).config

    async def _require_ready(self) -> None:
        asked = service_pb2.ModelReadyRequest(name=self._name, version=VERSION)
        try:
            ready = (await call(self._stub.ModelReady, asked, Deadline.after(_READY_SECONDS), _PEER)).ready
        except InvalidQuery as error:  # how Triton says that it does not know the model
            raise self._absent() from error
        if not ready:
            raise self._absent()

    def _absent(self) -> Absent:
        return Absent(
            f"Triton has no model {self._name}: render it with omma model triton-repo and let Triton serve it.",
            field="OMMA_TRITON__URL",
        )
