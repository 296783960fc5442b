#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the stars of each tomographic bin in fine magnitude steps, with errors.

The Poisson error is the square root of the count. The jackknife error comes from leaving out one of a number of equal
areas of the sky at a time; it is larger where stars are not spread evenly.
"""
import descpipe


class Stage(descpipe.Stage):
    name = "counts"
    config = {}

    inputs = {
        "tomographic-catalog": "fits",
    }

    outputs = {
        "n_of_m": "fits",
    }

    def run(self):
        import numpy as np
        from astropy.io import fits

        step = 0.1
        with fits.open(self.get_input_path("tomographic-catalog"), memmap=False) as hdus:
            header, data = hdus["TOMOGRAPHY"].header, hdus["TOMOGRAPHY"].data
            nbin = header["NBIN"]
            low, high = header["EDGE0"], header["EDGE{}".format(nbin)]
            magnitude = np.array(data["MAG"], dtype=float)
            number = np.array(data["BIN"])
            area = area_number(np.array(data["RA"]), np.array(data["DEC"]))

        steps = int(np.ceil((high - low) / step - 1e-9))
        grid = low + step * np.arange(steps + 1)
        columns = [
            fits.Column(name="M_LOW", format="D", unit="mag", array=grid[:-1]),
            fits.Column(name="M_HIGH", format="D", unit="mag", array=grid[1:]),
        ]
        for n in range(1, nbin + 1):
            # One histogram per area; all the rest follows from it.
            per_area = np.array([np.histogram(magnitude[(number == n) & (area == a)], grid)[0] for a in range(AREAS)])
            count = per_area.sum(axis=0)
            left_out = (count - per_area) * AREAS / (AREAS - 1.0)
            jackknife = np.sqrt((AREAS - 1.0) / AREAS * np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0))
            columns += [
                fits.Column(name="BIN{}".format(n), format="J", array=count.astype("i4")),
                fits.Column(name="ERR{}".format(n), format="D", array=np.sqrt(count)),
                fits.Column(name="JACK{}".format(n), format="D", array=jackknife),
            ]
            print("bin {}: {} stars".format(n, count.sum()))
        table = fits.BinTableHDU.from_columns(columns, name="N_OF_M")
        table.header["NBIN"] = nbin
        table.header["NAREA"] = (AREAS, "areas of the jackknife")
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(self.get_output_path("n_of_m"))


AREAS = 48


def area_number(ra, dec):
    """The number of the equal area (12 steps of right ascension x 4 of the sine of declination) a position lies in."""
    import numpy as np

    column = np.minimum((ra / 30.0).astype(int), 11)
    row = np.clip(((np.sin(np.radians(dec)) + 1.0) * 2.0).astype(int), 0, 3)
    return row * 12 + column


# Always end with this
if __name__ == "__main__":
    Stage.main()
