"""Runs alphacsc in an environment of its own: one JSON request a line, one JSON answer a line.

python -m venv peer && peer/bin/pip install alphacsc==0.4.1 'numpy<2.4'
"""

import json
import sys
import time
import warnings

import numpy as np

warnings.simplefilter("ignore")


def encode(stored, request):
    """The code by LGCD with the sums that a dictionary update needs, and the objective of that code."""
    from alphacsc.update_z_multi import update_z_multi
    from alphacsc.utils.convolution import construct_X_multi

    signal, atoms = stored["X"], np.hstack([stored["spatial"], stored["temporal"]])
    options = {"tol": request["tolerance"], "max_iter": int(1e9)}
    wall, cpu = time.perf_counter(), time.process_time()
    z = update_z_multi(
        signal[None], atoms, request["penalty"], solver="lgcd", solver_kwargs=options, return_ztz=True
    )[0]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    left = signal - construct_X_multi(z, atoms, n_channels=len(signal))[0]
    value = 0.5 * float((left**2).sum()) + request["penalty"] * float(z.sum())
    return {"wall": wall, "cpu": cpu, "objective": value, "activations": int((z > 0).sum())}


def learn(stored, request):
    """Outer iterations of the batch fit from given atoms at lambda = regularization * lambda_max of these."""
    from alphacsc import BatchCDL

    signal, atoms = stored["X"], np.hstack([stored["spatial"], stored["temporal"]])
    model = BatchCDL(
        len(atoms), stored["temporal"].shape[1], n_iter=request["iterations"], rank1=True, uv_constraint="separate",
        solver_z="lgcd", solver_z_kwargs={"tol": request["tolerance"], "max_iter": int(1e9)},
        solver_d="alternate_adaptive", solver_d_kwargs={"max_iter": 300}, reg=request["regularization"],
        lmbd_max="scaled", D_init=atoms, eps=1e-10, verbose=0, random_state=0,
    )  # fmt: skip
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(signal[None])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "objective": float(model._pobj[-1]), "penalty": float(model.reg_)}


def main():
    """Answer requests until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        with np.load(request["file"]) as stored:
            arrays = {name: stored[name] for name in stored.files}
        answer = {"encode": encode, "learn": learn}[request["what"]](arrays, request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
