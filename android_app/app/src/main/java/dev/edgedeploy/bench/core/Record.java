package dev.edgedeploy.bench.core;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What is shared from the screen: every event but the progress, and the times in short. */
public final class Record implements Supervisor.Sink {
    /** What another app can be handed at once. */
    private static final int MOST_CHARS = 200_000;

    private final List<String> lines = new ArrayList<String>();
    private int chars;
    private boolean cut;

    @Override
    public synchronized void line(String line, Map<String, Object> event) {
        if (event == null || "progress".equals(event.get("event"))) return;
        if (chars + line.length() > MOST_CHARS) {
            cut = true;
            return;
        }
        chars += line.length() + 1;
        lines.add(line);
    }

    /** device: key, value, key, value, ... */
    public synchronized String json(String plan, Summary summary, String... device) {
        StringBuilder out = new StringBuilder("{\"kind\":\"edgedeploy in-app run\",\"schema_version\":1,\"plan\":");
        out.append(Json.quote(plan)).append(",\"device\":{");
        for (int i = 0; i + 1 < device.length; i += 2)
            out.append(i > 0 ? "," : "").append(Json.quote(device[i])).append(':').append(Json.quote(device[i + 1]));
        out.append("},\"summary\":").append(summary.json()).append(",\"events_left_out\":").append(cut).append(",\"events\":[");
        for (int i = 0; i < lines.size(); i++) out.append(i > 0 ? "," : "").append(lines.get(i));
        return out.append("]}").toString();
    }
}
