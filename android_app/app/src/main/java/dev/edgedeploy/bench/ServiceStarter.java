package dev.edgedeploy.bench;

import android.content.ComponentName;
import android.content.Context;
import android.content.Intent;
import android.content.ServiceConnection;
import android.os.IBinder;
import android.os.Parcel;
import android.os.Process;
import android.os.RemoteException;
import android.util.Log;
import dev.edgedeploy.bench.core.Worker;
import java.io.File;
import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Workers as processes of this app: BenchService, bound to, so that they live no longer than we do. */
final class ServiceStarter implements Worker.Starter {
    private static final int START_SEC = 20;

    private final Context context;

    ServiceStarter(Context context) {
        this.context = context;
    }

    @Override
    public Worker start(File directory, String[] command) throws IOException {
        String root = Home.work(context).getCanonicalPath() + "/";
        Intent intent = new Intent(context, BenchService.class);
        intent.putExtra(BenchService.DIRECTORY, directory.getCanonicalPath().substring(root.length()));
        intent.putExtra(BenchService.COMMAND, command);
        Bound bound = new Bound(context);
        try {
            context.startService(intent);
        } catch (IllegalStateException background) {
            Log.w("edgedeploy", "only bound to", background);
        }
        if (!context.bindService(intent, bound, Context.BIND_AUTO_CREATE | Context.BIND_IMPORTANT))
            throw new IOException("the service of this app cannot be bound to");
        if (!bound.connected()) {
            bound.kill();
            throw new IOException("the service of this app did not start within " + START_SEC + " s");
        }
        return bound;
    }

    private static final class Bound implements Worker, ServiceConnection, IBinder.DeathRecipient {
        private final Context context;
        private final CountDownLatch connection = new CountDownLatch(1);
        private volatile int pid;
        private volatile boolean gone;

        Bound(Context context) {
            this.context = context;
        }

        boolean connected() {
            try {
                return connection.await(START_SEC, TimeUnit.SECONDS);
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
                return false;
            }
        }

        @Override
        public void onServiceConnected(ComponentName name, IBinder service) {
            Parcel data = Parcel.obtain(), reply = Parcel.obtain();
            try {
                service.linkToDeath(this, 0);
                service.transact(BenchService.PID, data, reply, 0);
                pid = reply.readInt();
            } catch (RemoteException died) {
                binderDied();
            } finally {
                data.recycle();
                reply.recycle();
            }
            connection.countDown();
        }

        @Override
        public void onServiceDisconnected(ComponentName name) {
            binderDied();
        }

        @Override
        public void binderDied() {
            boolean first;
            synchronized (this) {
                first = !gone;
                gone = true;
            }
            // else Android would start it again for us
            if (first) context.unbindService(this);
        }

        @Override
        public long pid() {
            return pid;
        }

        @Override
        public boolean alive() {
            return !gone;
        }

        @Override
        public String death() {
            return "";
        }

        @Override
        public int signal() {
            return 0;
        }

        @Override
        public void kill() {
            if (pid > 0) Process.killProcess(pid);
            else binderDied();
        }
    }
}
