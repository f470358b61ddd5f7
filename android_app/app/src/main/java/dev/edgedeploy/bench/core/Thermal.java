package dev.edgedeploy.bench.core;

import java.lang.reflect.Method;
import java.util.Locale;

/** What android.os.PowerManager says of heat: asked by reflection, since it says it from Android 10 and 11 on. */
public final class Thermal {
    private static final String[] NAMES = {"none", "light", "moderate", "severe", "critical", "emergency", "shutdown"};

    private Thermal() {}

    /** A `thermal` line; its status is null where this Android does not know it. 1.0 of headroom left is throttling. */
    public static String line(Object powerManager) {
        Object status = call(powerManager, "getCurrentThermalStatus", new Class<?>[0]);
        Object headroom = call(powerManager, "getThermalHeadroom", new Class<?>[] {int.class}, 0);
        Line line = new Line("thermal");
        boolean known = status instanceof Integer && (Integer) status >= 0 && (Integer) status < NAMES.length;
        line.raw("status", known ? status.toString() : "null").text("name", known ? NAMES[(Integer) status] : null);
        boolean number = headroom instanceof Float && !((Float) headroom).isNaN() && !((Float) headroom).isInfinite();
        return line.raw("headroom", number ? String.format(Locale.ROOT, "%.3f", (Float) headroom) : "null").toString();
    }

    private static Object call(Object target, String name, Class<?>[] types, Object... arguments) {
        if (target == null) return null;
        try {
            Method method = target.getClass().getMethod(name, types);
            return method.invoke(target, arguments);
        } catch (ReflectiveOperationException absent) {
            return null;
        } catch (RuntimeException refused) {
            return null;
        }
    }
}
