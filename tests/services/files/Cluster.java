import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.HRegionLocation;
import org.apache.hadoop.hbase.LocalHBaseCluster;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.zookeeper.MiniZooKeeperCluster;

/**
 * ZooKeeper, master and region server in one JVM, stopped in the right order.
 *
 * <p>`HMaster start` stops its ZooKeeper first and then waits up to 24 s for the region server's session to end.
 * The argument is a file that is written when every region of every table answers.
 */
public final class Cluster {
  private Cluster() {}

  public static void main(String[] args) throws Exception {
    Configuration conf = HBaseConfiguration.create();
    int port = Integer.parseInt(conf.get("hbase.zookeeper.property.clientPort"));
    MiniZooKeeperCluster zooKeeper = new MiniZooKeeperCluster(conf);
    zooKeeper.setDefaultClientPort(port);
    zooKeeper.setTickTime(2000);
    int taken = zooKeeper.startup(new File(conf.get("hbase.zookeeper.property.dataDir")));
    if (taken != port) { // it moves to the next free port without a word, and nobody would find it there
      System.err.println("ZooKeeper's port " + port + " is taken");
      Runtime.getRuntime().halt(1);
    }
    LocalHBaseCluster cluster = new LocalHBaseCluster(conf, 1, 1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(cluster, zooKeeper)));
    cluster.startup();
    readEveryRegion(conf);
    Files.writeString(Path.of(args[0]), Long.toString(ProcessHandle.current().pid()));
    cluster.join();
  }

  private static void stop(LocalHBaseCluster cluster, MiniZooKeeperCluster zooKeeper) {
    cluster.shutdown();
    cluster.join();
    try {
      zooKeeper.shutdown();
    } catch (java.io.IOException e) {
      System.err.println("ZooKeeper did not stop: " + e);
    }
  }

  /** The list of tables answers before their regions do; a row of each region is the proof. */
  private static void readEveryRegion(Configuration conf) throws Exception {
    try (Connection connection = ConnectionFactory.createConnection(conf)) {
      readRegions(connection, TableName.META_TABLE_NAME);
      for (TableName name : connection.getAdmin().listTableNames()) {
        if (connection.getAdmin().isTableEnabled(name)) {
          readRegions(connection, name);
        }
      }
    }
  }

  private static void readRegions(Connection connection, TableName name) throws Exception {
    try (Table table = connection.getTable(name)) {
      for (HRegionLocation location : connection.getRegionLocator(name).getAllRegionLocations()) {
        byte[] start = location.getRegion().getStartKey();
        Get get = new Get(start.length == 0 ? new byte[] {0} : start).setCheckExistenceOnly(true);
        while (true) { // whoever started us has the deadline
          try {
            table.get(get);
            break;
          } catch (java.io.IOException e) {
            System.err.println("not yet: " + e.getMessage());
            Thread.sleep(100);
          }
        }
      }
    }
  }
}
