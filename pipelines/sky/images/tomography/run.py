#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bins the stars of an astrometry.net index by magnitude.

Such an index keeps its star positions in the data table of a k-d tree: unit vectors, each component stored as an unsigned 32-bit
integer u that stands for lower + u / scale. Lower bounds, upper bounds and the scale are in the range table. Magnitudes
are in a table of their own, in the same order.
"""
import descpipe


class Stage(descpipe.Stage):
    name = "tomography"
    config = {
        "config": "config.yaml"
    }

    inputs = {
        "star-catalog": "fits",
    }

    outputs = {
        "tomographic-catalog": "fits",
    }

    def run(self):
        # Imports belong in here: descpipe reads the tags above without running this file.
        import numpy as np
        from astropy.io import fits

        config = self.get_config("config")
        edges = np.array(config["edges"], dtype=float)
        column = config["magnitude_column"]
        if len(edges) < 2 or not np.all(np.diff(edges) > 0):
            raise descpipe.StageError("'edges' needs at least two magnitudes, each larger than the one before")

        path = self.get_input_path("star-catalog")
        xyz, magnitude = read_stars(path, column)
        norm = np.sqrt(np.sum(xyz**2, axis=1))
        worst = np.max(np.abs(norm - 1))
        print("{} stars, |position| - 1 is at most {:.1e}".format(len(xyz), worst))
        if worst > 1e-6:
            raise descpipe.StageError("the positions in '{}' are not unit vectors".format(path))

        ra = np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])) % 360.0
        dec = np.degrees(np.arcsin(xyz[:, 2] / norm))
        # Bin 0 is "outside of all bins"; bin n holds edges[n - 1] <= magnitude < edges[n].
        number = np.digitize(magnitude, edges)
        number[number == len(edges)] = 0
        for n in range(1, len(edges)):
            print("bin {}: {:5.2f} <= {} < {:5.2f}: {} stars".format(n, edges[n - 1], column, edges[n], np.sum(number == n)))
        print("outside of all bins: {} stars".format(np.sum(number == 0)))

        # A fixed order, whatever the order of the tree: by position, then magnitude.
        order = np.lexsort((magnitude, dec, ra))
        columns = [
            fits.Column(name="RA", format="D", unit="deg", array=ra[order]),
            fits.Column(name="DEC", format="D", unit="deg", array=dec[order]),
            fits.Column(name="MAG", format="E", unit="mag", array=magnitude[order]),
            fits.Column(name="BIN", format="I", array=number[order].astype("i2")),
        ]
        table = fits.BinTableHDU.from_columns(columns, name="TOMOGRAPHY")
        table.header["NBIN"] = (len(edges) - 1, "number of magnitude bins")
        table.header["MAGCOL"] = (column, "magnitude of the input")
        for n, edge in enumerate(edges):
            table.header["EDGE{}".format(n)] = (float(edge), "[mag] bin edge")
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(self.get_output_path("tomographic-catalog"))


def read_stars(path, column):
    """Unit vectors (n, 3) and magnitudes (n) of an index."""
    import numpy as np
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        tree = header_with_key(hdus, "KDT_NAME", "stars", path)
        if tree["KDT_DATA"].strip() != "u32" or tree["KDT_NDIM"] != 3:
            raise descpipe.StageError(
                "the star tree of '{}' holds {} x {}, not 3 x u32".format(path, tree["KDT_NDIM"], tree["KDT_DATA"].strip())
            )
        # The numbers are in the byte order of the machine that wrote them, which the header shows by an example.
        order = {"04:03:02:01": "<", "01:02:03:04": ">"}.get(tree["ENDIAN"].strip())
        if order is None:
            raise descpipe.StageError("'{}' has an unknown byte order '{}'".format(path, tree["ENDIAN"]))
        bounds = np.frombuffer(raw_table(hdus, "kdtree_range_stars", path), order + "f8")
        lower, scale = bounds[0:3], bounds[6]
        units = np.frombuffer(raw_table(hdus, "kdtree_data_stars", path), order + "u4").reshape(-1, 3)
        for hdu in hdus[1:]:
            if column in hdu.columns.names:
                magnitude = np.array(hdu.data[column], dtype="f4")
                break
        else:
            raise descpipe.StageError("'{}' has no column '{}'".format(path, column))
    if len(magnitude) != len(units):
        raise descpipe.StageError("'{}' has {} positions but {} magnitudes".format(path, len(units), len(magnitude)))
    return lower + units / scale, magnitude


def header_with_key(hdus, key, value, path):
    for hdu in hdus:
        if str(hdu.header.get(key, "")).strip() == value:
            return hdu.header
    raise descpipe.StageError("'{}' is not an index with a k-d tree of stars: no {} = '{}'".format(path, key, value))


def raw_table(hdus, name, path):
    """The bytes of a table whose only column has this name. (The columns are declared as text, which would lose trailing zeros.)"""
    for hdu in hdus[1:]:
        if hdu.columns.names == [name]:
            with open(path, "rb") as source:
                source.seek(hdu.fileinfo()["datLoc"])
                return source.read(hdu.header["NAXIS1"] * hdu.header["NAXIS2"])
    raise descpipe.StageError("'{}' has no table '{}'".format(path, name))


# Always end with this
if __name__ == "__main__":
    Stage.main()
