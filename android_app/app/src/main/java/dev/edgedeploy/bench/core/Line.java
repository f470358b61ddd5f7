package dev.edgedeploy.bench.core;

import java.util.Map;

/** Lines of the runner protocol that this side says itself, and what one that came says. */
public final class Line {
    private final StringBuilder body;

    public Line(String event) {
        body = new StringBuilder("{\"event\":").append(Json.quote(event));
    }

    public Line text(String key, String value) {
        return raw(key, value == null ? "null" : Json.quote(value));
    }

    public Line number(String key, long value) {
        return raw(key, Long.toString(value));
    }

    public Line raw(String key, String json) {
        body.append(',').append(Json.quote(key)).append(':').append(json);
        return this;
    }

    @Override
    public String toString() {
        return body + "}";
    }

    /** The object of a line; null for what is no event. */
    public static Map<String, Object> read(String line) {
        try {
            Map<String, Object> object = Json.object(line);
            return object.get("event") instanceof String ? object : null;
        } catch (Json.Bad error) {
            return null;
        }
    }

    /** Whether nothing follows it. */
    public static boolean isLast(String event) {
        return event.equals("end") || event.equals("error") || event.equals("describe");
    }

    /** The phase that begins when this event has been said; null where it says nothing of phases. */
    public static String phaseAfter(String event) {
        String[] order = {"hello", "load", "adapters", "first", "warmup", "steady", "output"};
        for (int i = 0; i + 1 < order.length; i++) if (order[i].equals(event)) return order[i + 1];
        return event.equals("output") || event.equals("rusage") || event.equals("end") ? event : null;
    }
}
