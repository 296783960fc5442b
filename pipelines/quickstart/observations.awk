# SPDX-License-Identifier: BSD-3-Clause
# Made observations.csv: an invented pulsating star in three bands, seen for 60 nights.   awk -f observations.awk >observations.csv
# The numbers come from a generator of its own, so that every awk makes the same file.
function random() {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
}
function noise() { return random() + random() + random() + random() - 2 }
BEGIN {
    seed = 20171009
    period = 0.5668
    split("g r i", band, " ")
    split("7.85 7.62 7.55", middle, " ")
    split("0.50 0.37 0.29", amplitude, " ")
    print "# time (days),band,magnitude,error,quality"
    for (night = 0; night < 60; night++) {
        for (visit = 0; visit < 5; visit++) {
            for (b = 1; b <= 3; b++) {
                time = night + 0.35 * random() + 0.08 * visit
                phase = time / period
                phase -= int(phase)
                # Quickly up, slowly down.
                shape = phase < 0.2 ? 1 - 10 * phase : -1 + 2.5 * (phase - 0.2)
                error = 0.02 + 0.03 * random()
                quality = random() < 0.04 ? "bad" : "good"
                wrong = quality == "bad" ? 3 * random() : 0
                printf "%.5f,%s,%.4f,%.4f,%s\n", time, band[b], middle[b] + amplitude[b] * shape + error * noise() + wrong, error, quality
            }
        }
    }
}
