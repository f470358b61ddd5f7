package dev.edgedeploy.bench;

import android.content.Context;
import android.content.pm.PackageManager;
import android.os.Build;
import dev.edgedeploy.bench.core.PlanRun;
import dev.edgedeploy.bench.core.Supervisor;
import dev.edgedeploy.bench.core.Thermal;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/** Where things are in this app. */
final class Home {
    private Home() {}

    /** What the host hands over, and what runs leave: plans/, runs/, checks/, questions/. */
    static File work(Context context) {
        File directory = new File(context.getFilesDir(), "edgedeploy");
        directory.mkdirs();
        return directory;
    }

    static String libraries(Context context) {
        return context.getApplicationInfo().nativeLibraryDir;
    }

    /** A directory with versions.json, which the installer does not unpack: only libraries are. */
    static String notes(Context context) throws IOException {
        File directory = new File(context.getFilesDir(), "notes");
        directory.mkdirs();
        InputStream in = context.getAssets().open("versions.json");
        try {
            OutputStream out = new FileOutputStream(new File(directory, "versions.json"));
            try {
                byte[] block = new byte[4096];
                for (int n; (n = in.read(block)) > 0; ) out.write(block, 0, n);
            } finally {
                out.close();
            }
        } finally {
            in.close();
        }
        return directory.getPath();
    }

    /** A run of the plan in `directory`, by a worker of this app's. */
    static PlanRun run(Context context, File directory, Supervisor.Sink listener) {
        final Object power = context.getSystemService(Context.POWER_SERVICE);
        return new PlanRun(directory, new ServiceStarter(context), listener, new PlanRun.Heat() {
            @Override
            public String line() {
                return Thermal.line(power);
            }
        });
    }

    /** Key, value, key, value: for a record that is shared. */
    static String[] device(Context context) {
        String version = "";
        try {
            version = context.getPackageManager().getPackageInfo(context.getPackageName(), 0).versionName;
        } catch (PackageManager.NameNotFoundException itself) {
            // an app finds itself
        }
        return new String[] {
            "manufacturer", Build.MANUFACTURER, "model", Build.MODEL, "android", Build.VERSION.RELEASE,
            "sdk", Integer.toString(Build.VERSION.SDK_INT), "app", version,
        };
    }
}
