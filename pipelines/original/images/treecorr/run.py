#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause

# Make sure this file is executable.
import descpipe


class Stage(descpipe.Stage):
    name = "photoz"
    config = {
        "config": "config.yaml"
    }

    # Tags and suffixes
    inputs = {
        "shear-catalog": "fits",
        "tomographic-catalog" : "fits",
    }

    outputs = {
        "correlation-functions": "fits",
        #"some-catalog": "hdf",
        #"some-metadata": float,
    }


    def run(self):
        # Imports must be in here
        import numpy as np
        from astropy.io import fits

        config = self.get_config("config")
        edges = np.geomspace(config["min_sep"], config["max_sep"], config["nbins"] + 1)
        with fits.open(self.get_input_path("shear-catalog"), memmap=False) as hdus:
            shear = hdus[1].data
            ra, dec = np.radians(shear["RA"]), np.radians(shear["DEC"])
            e1, e2, weight = np.array(shear["E_1"]), np.array(shear["E_2"]), np.array(shear["W"])
        with fits.open(self.get_input_path("tomographic-catalog"), memmap=False) as hdus:
            nbin = hdus[1].header["NBIN"]
            number = np.array(hdus[1].data["BIN"])

        # A few dozen galaxies on a small patch: every pair at once, on a flat sky.
        x, y = (ra - ra.mean()) * np.cos(dec), dec - dec.mean()
        difference = (x[:, None] - x[None, :]) + 1j * (y[:, None] - y[None, :])
        separation = np.degrees(np.abs(difference)) * 60.0
        # Both ellipticities turned into the direction of the pair.
        turn = np.exp(-2j * np.angle(difference))
        one, other = (e1 + 1j * e2)[:, None] * turn, (e1 + 1j * e2)[None, :] * turn
        plus = (one * other.conj()).real
        minus = (one * other).real
        pair_weight = weight[:, None] * weight[None, :]

        rows = []
        for i in range(1, nbin + 1):
            for j in range(i, nbin + 1):
                chosen = (number == i)[:, None] & (number == j)[None, :] & (separation > 0)
                for k in range(len(edges) - 1):
                    here = chosen & (separation >= edges[k]) & (separation < edges[k + 1])
                    total = pair_weight[here].sum()
                    if total > 0:
                        rows.append((i, j, k + 1, np.sqrt(edges[k] * edges[k + 1]), (pair_weight * plus)[here].sum() / total,
                                     (pair_weight * minus)[here].sum() / total, int(here.sum())))
        names = ["BIN1", "BIN2", "ANGBIN", "ANG", "XIP", "XIM", "NPAIR"]
        columns = [fits.Column(name=name, format=form, array=np.array(values))
                   for name, form, values in zip(names, "JJJDDDJ", zip(*rows))]
        table = fits.BinTableHDU.from_columns(columns)
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(self.get_output_path("correlation-functions"))
        print("{} points".format(len(rows)))


# Always end with this
if __name__ == '__main__':
    Stage.main()
