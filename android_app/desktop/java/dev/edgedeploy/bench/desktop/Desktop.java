package dev.edgedeploy.bench.desktop;

import dev.edgedeploy.bench.core.Limits;
import dev.edgedeploy.bench.core.PlanRun;
import dev.edgedeploy.bench.core.Supervisor;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.Map;

/** The app without Android: a plan, or a question, with JSON Lines on stdout, as edgebench has it. */
public final class Desktop {
    private Desktop() {}

    /** LIBRARY LIB_DIR DIRECTORY COMMAND... */
    public static void main(String[] arguments) throws IOException {
        final PrintStream out = System.out;
        Supervisor.Sink sink = new Supervisor.Sink() {
            @Override
            public void line(String line, Map<String, Object> event) {
                out.print(line + "\n");
                out.flush();
            }
        };
        DesktopStarter starter = new DesktopStarter(arguments[0], arguments[1]);
        File directory = new File(arguments[2]);
        String[] command = Arrays.copyOfRange(arguments, 3, arguments.length);
        int code;
        if (command[0].equals("plan"))
            code = new PlanRun(directory, starter, sink, null).toItsEnd();
        else code = new Supervisor(directory, Limits.QUESTION, starter, sink).run(command);
        System.exit(code);
    }
}
