package dev.edgedeploy.bench;

import android.app.Activity;
import android.app.Instrumentation;
import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import dev.edgedeploy.bench.core.Confined;
import dev.edgedeploy.bench.core.ErrorCode;
import dev.edgedeploy.bench.core.Line;
import dev.edgedeploy.bench.core.Limits;
import dev.edgedeploy.bench.core.Supervisor;
import java.io.File;
import java.io.IOException;
import java.util.Map;

/**
 * The lab's way in: `am instrument -w -r -e directory runs/X/0 dev.edgedeploy.bench/.BenchInstrumentation`. Every JSON Line goes
 * out as a status of its own, `line`; the result has the exit code, `exit`. With `-e command hello`, or `describe` and `model` and
 * `runtime`, it answers what edgebench answers.
 */
public final class BenchInstrumentation extends Instrumentation {
    private Bundle arguments;

    @Override
    public void onCreate(Bundle given) {
        super.onCreate(given);
        arguments = given == null ? new Bundle() : given;
        start();
    }

    @Override
    public void onStart() {
        super.onStart();
        int code;
        try {
            code = command(arguments.getString("command", "plan"));
        } catch (Confined.Outside outside) {
            code = refused("path_outside", outside.getMessage());
        } catch (IOException error) {
            code = refused("internal", error.getMessage());
        }
        Bundle result = new Bundle();
        result.putString("exit", Integer.toString(code));
        finish(Activity.RESULT_OK, result);
    }

    private int command(String name) throws Confined.Outside, IOException {
        Context context = getTargetContext();
        File work = Home.work(context);
        File directory = Confined.below(work, arguments.getString("directory"));
        if (name.equals("plan")) {
            Intent screen = new Intent(context, BenchActivity.class);
            screen.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK);
            screen.putExtra(BenchActivity.WATCHING, true);
            context.startActivity(screen);
            // it goes with this process, which ends with the run; a screen that stays dark is no reason not to run
            BenchActivity.awaitShown();
            return Home.run(context, directory, sink()).toItsEnd();
        }
        String[] asked = {name};
        if (name.equals("describe")) {
            File model = Confined.below(work, arguments.getString("model"));
            asked = new String[] {name, model.getCanonicalPath(), arguments.getString("runtime", "")};
        }
        directory.mkdirs();
        return new Supervisor(directory, Limits.QUESTION, new ServiceStarter(context), sink()).run(asked);
    }

    private Supervisor.Sink sink() {
        return new Supervisor.Sink() {
            @Override
            public void line(String line, Map<String, Object> event) {
                Bundle status = new Bundle();
                status.putString("line", line);
                sendStatus(0, status);
            }
        };
    }

    private int refused(String code, String message) {
        Line line = new Line("error").text("code", code).text("phase", "arguments").text("message", message);
        sink().line(line.toString(), null);
        return ErrorCode.exitCode(code);
    }
}
