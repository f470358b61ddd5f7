package dev.edgedeploy.bench;

import android.content.Context;
import android.os.PowerManager;
import dev.edgedeploy.bench.core.Supervisor;
import dev.edgedeploy.bench.core.Thermal;
import java.io.File;
import java.io.IOException;
import java.util.Map;

/** A plan, run in this app: the worker's lines, and between them what the phone says of its heat. */
final class Run {
    private final Context context;
    private final File directory;
    private final Supervisor supervisor;
    private final Supervisor.Sink sink;
    private String lastThermal = "";

    Run(Context context, File directory, Supervisor.Sink listener) throws IOException {
        this.context = context;
        this.directory = directory;
        sink = Supervisor.keeping(new File(directory, "events.jsonl"), listener);
        supervisor = Supervisor.ofPlan(directory, new ServiceStarter(context), new Supervisor.Sink() {
            @Override
            public void line(String line, Map<String, Object> event) {
                Object name = event == null ? null : event.get("event");
                // before and after what is timed, and while the phone is looked at anyway
                if ("hello".equals(name) || "rusage".equals(name) || "progress".equals(name)) thermal();
                sink.line(line, event);
            }
        });
    }

    int toItsEnd() throws IOException {
        return supervisor.run(new String[] {"plan"});
    }

    void cancel() {
        supervisor.cancel();
    }

    private void thermal() {
        PowerManager power = (PowerManager) context.getSystemService(Context.POWER_SERVICE);
        String line = Thermal.line(power);
        if (line.equals(lastThermal)) return;
        lastThermal = line;
        sink.line(line, dev.edgedeploy.bench.core.Line.read(line));
    }
}
