package dev.edgedeploy.bench.core;

import java.util.Arrays;
import java.util.Locale;

/** What the screen says of a run's times: the middle one, and between which the middle eight tenths are. */
public final class Summary {
    public final int count;
    public final double medianNs, p10Ns, p90Ns;

    public Summary(long[] elapsedNs) {
        long[] sorted = elapsedNs.clone();
        Arrays.sort(sorted);
        count = sorted.length;
        medianNs = quantile(sorted, 0.5);
        p10Ns = quantile(sorted, 0.1);
        p90Ns = quantile(sorted, 0.9);
    }

    /** Linear between the two nearest, as edgedeploy's own statistics have it; NaN of none. */
    static double quantile(long[] sorted, double q) {
        if (sorted.length == 0) return Double.NaN;
        double at = q * (sorted.length - 1);
        int low = (int) Math.floor(at);
        int high = Math.min(low + 1, sorted.length - 1);
        return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
    }

    public String text() {
        if (count == 0) return "no sample";
        return String.format(
                Locale.ROOT, "median %.4f ms, 80 %% between %.4f and %.4f ms, %d inferences",
                medianNs / 1e6, p10Ns / 1e6, p90Ns / 1e6, count);
    }

    public String json() {
        if (count == 0) return "{\"count\":0}";
        return String.format(
                Locale.ROOT, "{\"count\":%d,\"median_ns\":%.1f,\"p10_ns\":%.1f,\"p90_ns\":%.1f}", count, medianNs, p10Ns, p90Ns);
    }
}
