#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause

"""
Stacks the redshifts of each tomographic bin.
"""

import descpipe


class Stage(descpipe.Stage):
    name = "pz_stack"
    config = {}

    inputs = {
        "photoz-catalog": "fits",
        "tomographic-catalog": "fits",
    }

    outputs = {
        "n_of_z": "fits",
    }

    def run(self):
        # Imports must be in here
        import numpy as np
        from astropy.io import fits

        with fits.open(self.get_input_path("tomographic-catalog"), memmap=False) as hdus:
            nbin = hdus[1].header["NBIN"]
            number = np.array(hdus[1].data["BIN"])
        with fits.open(self.get_input_path("photoz-catalog"), memmap=False) as hdus:
            redshift = np.array(hdus[1].data["Z_MEAN"])
        grid = np.linspace(0.0, 1.5, 31)
        columns = [fits.Column(name="Z_LOW", format="D", array=grid[:-1])]
        for n in range(1, nbin + 1):
            count = np.histogram(redshift[number == n], grid)[0]
            columns.append(fits.Column(name="BIN{}".format(n), format="J", array=count.astype("i4")))
        table = fits.BinTableHDU.from_columns(columns)
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(self.get_output_path("n_of_z"))
        print("stacked {} bins".format(nbin))


if __name__ == '__main__':
    Stage.main()
