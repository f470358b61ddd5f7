package dev.edgedeploy.bench.core;

import java.util.Map;

/** How long a worker may take and how much memory it may use: of the plan, within what any plan may ask for. */
public final class Limits {
    private static final double DEFAULT_SECONDS = 120;
    private static final long DEFAULT_MEMORY_MB = 4096;
    /** A week, and 4 TiB: the runner's own. */
    private static final double MAX_SECONDS = 604_800;

    private static final long MAX_MEMORY_MB = 1 << 22;

    public static final Limits DEFAULT = new Limits(DEFAULT_SECONDS, DEFAULT_MEMORY_MB);
    /** Of what loads a model, or a library, and no more. */
    public static final Limits QUESTION = new Limits(120, 8192);

    public final double seconds;
    public final long memoryKb;

    Limits(double seconds, long memoryMb) {
        this.seconds = seconds;
        this.memoryKb = memoryMb * 1024;
    }

    /** A plan that says nonsense is the worker's to refuse; until it has, the defaults hold. */
    public static Limits of(Map<String, Object> plan) {
        Object seconds = plan.get("max_seconds"), memory = plan.get("max_memory_mb");
        double asked = seconds instanceof Number ? ((Number) seconds).doubleValue() : DEFAULT_SECONDS;
        long askedMb = memory instanceof Long ? (Long) memory : DEFAULT_MEMORY_MB;
        return new Limits(
                asked > 0 && asked <= MAX_SECONDS ? asked : DEFAULT_SECONDS,
                askedMb > 0 && askedMb <= MAX_MEMORY_MB ? askedMb : DEFAULT_MEMORY_MB);
    }
}
