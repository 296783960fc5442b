#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause

"""
Bins galaxies by their photometric redshift.

"""

# Make sure this file is executable.
import descpipe


class Stage(descpipe.Stage):
    name = "photoz"
    config = {
        "config":"config.yaml"
    }

    inputs = {
        "photoz-catalog": "fits",
    }

    outputs = {
        "tomographic-catalog": "fits",
    }


    def run(self):
        # Imports must be in here
        import numpy as np
        from astropy.io import fits

        config = self.get_config("config")
        nbin = config["nbin"]
        edges = np.linspace(config["zmin"], config["zmax"], nbin + 1)
        with fits.open(self.get_input_path("photoz-catalog"), memmap=False) as hdus:
            redshift = np.array(hdus[1].data[config["bin_column"]])
        number = np.digitize(redshift, edges)
        number[number > nbin] = 0
        table = fits.BinTableHDU.from_columns([fits.Column(name="BIN", format="I", array=number.astype("i2"))])
        table.header["NBIN"] = nbin
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(self.get_output_path("tomographic-catalog"))
        print("{} galaxies in {} bins".format(np.sum(number > 0), nbin))


# Always end with this
if __name__ == '__main__':
    Stage.main()
