#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The angular two-point correlation function w(theta) of each pair of tomographic bins.

Landy and Szalay's estimator, for bins i and j and random points R spread evenly over the sky:

    w = (DiDj - DiR - DjR + RR) / RR

each term being the share of all pairs that lie within one step of theta. Pairs are counted with k-d trees on unit vectors: an angle
theta is a chord 2 sin(theta / 2).
"""
import descpipe


class Stage(descpipe.Stage):
    name = "two_point"
    config = {
        "config": "config.yaml"
    }

    inputs = {
        "tomographic-catalog": "fits",
    }

    outputs = {
        "correlation-functions": "fits",
        "correlation-plot": "png",
    }

    def run(self):
        import numpy as np
        from astropy.io import fits
        from scipy.spatial import cKDTree

        config = self.get_config("config")
        edges = np.geomspace(config["theta_min"], config["theta_max"], config["theta_bins"] + 1)
        chords = 2.0 * np.sin(np.radians(edges) / 2.0)

        with fits.open(self.get_input_path("tomographic-catalog"), memmap=False) as hdus:
            nbin = hdus["TOMOGRAPHY"].header["NBIN"]
            magnitudes = [hdus["TOMOGRAPHY"].header["EDGE{}".format(n)] for n in range(nbin + 1)]
            data = hdus["TOMOGRAPHY"].data
            number = np.array(data["BIN"])
            xyz = unit_vectors(np.array(data["RA"]), np.array(data["DEC"]))

        randoms = cKDTree(random_points(config["randoms"], config["seed"]))
        stars = [cKDTree(xyz[number == n]) for n in range(1, nbin + 1)]
        print("{} random points, {} bins, {} steps of theta".format(randoms.n, nbin, len(edges) - 1))
        rr = pair_share(randoms, randoms, chords)
        dr = [pair_share(tree, randoms, chords) for tree in stars]

        bin1, bin2, step, w, error, pairs = [], [], [], [], [], []
        for i in range(nbin):
            for j in range(i, nbin):
                counted = pair_count(stars[i], stars[j], chords)
                share = counted / pair_total(stars[i], stars[j])
                value = (share - dr[i] - dr[j] + rr) / rr
                # Poisson noise of the pairs; each pair of one bin with itself is counted twice.
                true_pairs = counted / 2 if i == j else counted
                with np.errstate(divide="ignore"):
                    noise = np.where(true_pairs > 0, (1.0 + value) / np.sqrt(true_pairs), np.nan)
                bin1.append(np.full(len(value), i + 1))
                bin2.append(np.full(len(value), j + 1))
                step.append(np.arange(1, len(value) + 1))
                w.append(value)
                error.append(noise)
                pairs.append(true_pairs)
                print("bins {} and {}: {} pairs, w from {:+.3f} to {:+.3f}".format(
                    i + 1, j + 1, int(true_pairs.sum()), np.min(value), np.max(value)))

        steps = np.concatenate(step)
        middle = np.sqrt(edges[:-1] * edges[1:])
        columns = [
            fits.Column(name="BIN1", format="J", array=np.concatenate(bin1).astype("i4")),
            fits.Column(name="BIN2", format="J", array=np.concatenate(bin2).astype("i4")),
            fits.Column(name="ANGBIN", format="J", array=steps.astype("i4")),
            fits.Column(name="ANG", format="D", unit="deg", array=middle[steps - 1]),
            fits.Column(name="VALUE", format="D", array=np.concatenate(w)),
            fits.Column(name="ERROR", format="D", array=np.concatenate(error)),
            fits.Column(name="PAIRS", format="K", array=np.concatenate(pairs).astype("i8")),
        ]
        table = fits.BinTableHDU.from_columns(columns, name="W_OF_THETA")
        table.header["NBIN"] = nbin
        table.header["NRANDOM"] = (randoms.n, "random points")
        table.header["SEED"] = (config["seed"], "seed of the random points")
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(self.get_output_path("correlation-functions"))
        plot(self.get_output_path("correlation-plot"), magnitudes, middle, bin1, bin2, w, error)


def unit_vectors(ra, dec):
    import numpy as np

    ra, dec = np.radians(ra), np.radians(dec)
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def random_points(count, seed):
    """Points spread evenly over the sphere: equal areas are equal steps of z."""
    import numpy as np

    source = np.random.Generator(np.random.PCG64(seed))
    z = source.uniform(-1.0, 1.0, count)
    angle = source.uniform(0.0, 2.0 * np.pi, count)
    flat = np.sqrt(1.0 - z**2)
    return np.column_stack([flat * np.cos(angle), flat * np.sin(angle), z])


def pair_count(one, other, chords):
    """Ordered pairs between two trees, per step of the chord: whole numbers."""
    import numpy as np

    # Counting within each distance also counts a point with itself when both trees are one; the difference drops it.
    return np.diff(one.count_neighbors(other, chords)).astype(float)


def pair_total(one, other):
    return float(one.n) * (one.n - 1) if one is other else float(one.n) * other.n


def pair_share(one, other, chords):
    return pair_count(one, other, chords) / pair_total(one, other)


def plot(path, magnitudes, theta, bin1, bin2, w, error):
    import os
    import tempfile

    # A container's user may have no home folder to keep fonts' cache in.
    os.environ.setdefault("MPLCONFIGDIR", tempfile.mkdtemp(prefix="matplotlib."))
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    nbin = len(magnitudes) - 1
    figure, axes = pyplot.subplots(nbin, nbin, figsize=(3.0 * nbin, 2.6 * nbin), sharex=True, sharey=True, squeeze=False)
    for row in axes:
        for axis in row:
            axis.set_visible(False)
    for first, second, value, noise in zip(bin1, bin2, w, error):
        i, j = first[0] - 1, second[0] - 1
        axis = axes[j][i]
        axis.set_visible(True)
        axis.axhline(0.0, color="0.7", linewidth=0.8)
        axis.errorbar(theta, value, noise, fmt="o-", markersize=3, linewidth=1, color="C0" if i == j else "C1")
        axis.set_xscale("log")
        axis.set_title("bins {}, {}".format(i + 1, j + 1) if i != j else "bin {}: {:g} to {:g} mag".format(
            i + 1, magnitudes[i], magnitudes[i + 1]), fontsize=9)
        axis.tick_params(labelbottom=j == nbin - 1, labelleft=i == 0)
        if j == nbin - 1:
            axis.set_xlabel("theta (degrees)")
        if i == 0:
            axis.set_ylabel("w(theta)")
    figure.suptitle("Angular correlation of Tycho-2 stars, by V magnitude")
    figure.tight_layout()
    # No program versions or dates in the file: equal input gives an equal picture.
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)


# Always end with this
if __name__ == "__main__":
    Stage.main()
