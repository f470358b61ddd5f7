package dev.edgedeploy.bench.core;

import java.io.File;
import java.io.IOException;

/** What the kernel says of a process of ours. All zeros once it is gone. */
final class ProcessFacts {
    private static final int TICKS_PER_SEC = 100;
    private static final int MOST_BYTES = 65536;

    final long rssKb, peakKb, userMs, systemMs, voluntary, involuntary;

    private ProcessFacts(String status, String stat) {
        rssKb = field(status, "VmRSS:");
        peakKb = field(status, "VmHWM:");
        voluntary = field(status, "voluntary_ctxt_switches:");
        involuntary = field(status, "nonvoluntary_ctxt_switches:");
        // the name before it may hold anything
        String[] fields = stat.substring(stat.lastIndexOf(')') + 1).trim().split(" ");
        userMs = fields.length > 12 ? whole(fields[11]) * 1000 / TICKS_PER_SEC : 0;
        systemMs = fields.length > 12 ? whole(fields[12]) * 1000 / TICKS_PER_SEC : 0;
    }

    static ProcessFacts of(long pid) {
        return new ProcessFacts(text(pid, "status"), text(pid, "stat"));
    }

    Line line() {
        return new Line("rusage").number("peak_rss_kb", peakKb).number("user_ms", userMs).number("system_ms", systemMs)
                .number("voluntary_switches", voluntary).number("involuntary_switches", involuntary);
    }

    private static String text(long pid, String name) {
        try {
            return pid > 0 ? Confined.read(new File("/proc/" + pid + "/" + name), MOST_BYTES) : "";
        } catch (IOException error) {
            return "";
        }
    }

    private static long field(String status, String key) {
        for (String line : status.split("\n"))
            if (line.startsWith(key)) return whole(line.substring(key.length()).trim().split(" ")[0]);
        return 0;
    }

    private static long whole(String digits) {
        return digits.matches("[0-9]{1,18}") ? Long.parseLong(digits) : 0;
    }
}
