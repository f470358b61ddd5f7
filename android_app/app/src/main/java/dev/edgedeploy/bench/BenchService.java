package dev.edgedeploy.bench;

import android.app.Notification;
import android.app.PendingIntent;
import android.app.Service;
import android.content.Intent;
import android.os.Binder;
import android.os.Build;
import android.os.IBinder;
import android.os.Parcel;
import android.os.PowerManager;
import android.os.Process;
import android.util.Log;
import dev.edgedeploy.bench.core.Confined;
import dev.edgedeploy.bench.core.Native;
import java.io.File;
import java.io.IOException;

/**
 * The worker: the process `:bench`, in the foreground while it works. It is started for one launch and ends itself after it;
 * when whoever watches it dies, it goes as well.
 */
public final class BenchService extends Service {
    static final String DIRECTORY = "directory", COMMAND = "command";
    /** Asks for the worker's process id. */
    static final int PID = IBinder.FIRST_CALL_TRANSACTION;

    private static final int NOTIFICATION = 1;
    /** android.content.pm.ServiceInfo.FOREGROUND_SERVICE_TYPE_SPECIAL_USE, of Android 14. */
    private static final int SPECIAL_USE = 0x40000000;

    /** What the main thread of a program has, as which the runner's worker is written. */
    private static final long STACK_BYTES = 8 << 20;

    private boolean working;

    @Override
    public int onStartCommand(Intent intent, int flags, int id) {
        return START_NOT_STICKY;
    }

    @Override
    public IBinder onBind(Intent intent) {
        final Intent asked = intent;
        show();
        if (!working) {
            working = true;
            Runnable work = new Runnable() {
                @Override
                public void run() {
                    work(asked);
                    // at once: a runtime's own clean-up may crash when all is done
                    Process.killProcess(Process.myPid());
                }
            };
            new Thread(null, work, "worker", STACK_BYTES).start();
        }
        return new Binder() {
            @Override
            protected boolean onTransact(int code, Parcel data, Parcel reply, int flags) {
                if (code != PID || reply == null) return false;
                reply.writeInt(Process.myPid());
                return true;
            }
        };
    }

    @Override
    public boolean onUnbind(Intent intent) {
        Process.killProcess(Process.myPid());
        return false;
    }

    private void work(Intent asked) {
        PowerManager power = (PowerManager) getSystemService(POWER_SERVICE);
        PowerManager.WakeLock lock = power.newWakeLock(PowerManager.PARTIAL_WAKE_LOCK, "edgedeploy:bench");
        lock.acquire();
        try {
            File directory = Confined.below(Home.work(this), asked.getStringExtra(DIRECTORY));
            String[] command = asked.getStringArrayExtra(COMMAND);
            if (command == null) return;
            System.loadLibrary("edgebench_jni");
            Native.run(directory.getCanonicalPath(), command, Home.libraries(this), Home.notes(this));
        } catch (Confined.Outside outside) {
            // whoever asked sees a worker that left without a word
            Log.w("edgedeploy", outside);
        } catch (IOException error) {
            Log.w("edgedeploy", error);
        } finally {
            lock.release();
        }
    }

    private void show() {
        PendingIntent open = PendingIntent.getActivity(
                this, 0, new Intent(this, BenchActivity.class), Newer.immutable(PendingIntent.FLAG_UPDATE_CURRENT));
        Notification.Builder builder = Newer.builder(this)
                .setSmallIcon(R.drawable.icon).setContentTitle(getString(R.string.app_name))
                .setContentText(getString(R.string.running)).setContentIntent(open).setOngoing(true);
        Newer.startForeground(this, NOTIFICATION, builder.build(), Build.VERSION.SDK_INT >= 34 ? SPECIAL_USE : 0);
    }
}
