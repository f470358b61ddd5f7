package dev.edgedeploy.bench;

import android.app.Notification;
import android.app.NotificationManager;
import android.app.Service;
import android.content.Context;
import android.os.Build;
import android.util.Log;

/**
 * What Android has had since an API that is newer than the one this is compiled against (23 without the SDK): called by its
 * name. A phone that has the API has the name.
 */
final class Newer {
    private static final String CHANNEL = "bench";
    private static final int IMPORTANCE_LOW = 2;
    /** PendingIntent.FLAG_IMMUTABLE, of 23. */
    private static final int IMMUTABLE = 1 << 26;

    private Newer() {}

    static int immutable(int flags) {
        return flags | IMMUTABLE;
    }

    /** On Android 8 and newer a notification needs a channel. */
    static Notification.Builder builder(Context context) {
        if (Build.VERSION.SDK_INT < 26) return new Notification.Builder(context);
        try {
            Class<?> kind = Class.forName("android.app.NotificationChannel");
            Object channel = kind.getConstructor(String.class, CharSequence.class, int.class)
                    .newInstance(CHANNEL, context.getString(R.string.app_name), IMPORTANCE_LOW);
            Object manager = context.getSystemService(Context.NOTIFICATION_SERVICE);
            NotificationManager.class.getMethod("createNotificationChannel", kind).invoke(manager, channel);
            return Notification.Builder.class.getConstructor(Context.class, String.class).newInstance(context, CHANNEL);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    /**
     * type: 0 where Android does not ask for one. Where Android refuses, the screen alone keeps the service in the foreground.
     */
    static void startForeground(Service service, int id, Notification notification, int type) {
        try {
            if (type == 0) service.startForeground(id, notification);
            else
                Service.class.getMethod("startForeground", int.class, Notification.class, int.class)
                        .invoke(service, id, notification, type);
        } catch (ReflectiveOperationException refused) {
            Log.w("edgedeploy", "not in the foreground", refused);
        } catch (IllegalStateException refused) {
            Log.w("edgedeploy", "not in the foreground", refused);
        }
    }
}
