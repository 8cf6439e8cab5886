import java.util.stream.IntStream;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.TableExistsException;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptor;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.io.compress.Compression;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * Creates tables as production has them: families info and col, SNAPPY, split at 1| ... 9|.
 *
 * <p>Thrift's createTable takes no split keys. Arguments: versions kept, then names.
 */
public final class CreateTable {
  private CreateTable() {}

  public static void main(String[] args) throws Exception {
    byte[][] splits = IntStream.rangeClosed(1, 9).mapToObj(i -> Bytes.toBytes(i + "|")).toArray(byte[][]::new);
    int versions = Integer.parseInt(args[0]);
    try (Connection connection = ConnectionFactory.createConnection(HBaseConfiguration.create());
        Admin admin = connection.getAdmin()) {
      for (int i = 1; i < args.length; i++) {
        TableDescriptorBuilder table = TableDescriptorBuilder.newBuilder(TableName.valueOf(args[i]));
        table.setColumnFamily(family("info", versions)).setColumnFamily(family("col", versions));
        try {
          admin.createTable(table.build(), splits);
          System.out.println(args[i] + ": created");
        } catch (TableExistsException e) {
          System.out.println(args[i] + ": exists already");
        }
      }
    }
  }

  private static ColumnFamilyDescriptor family(String name, int versions) {
    return ColumnFamilyDescriptorBuilder.newBuilder(Bytes.toBytes(name))
        .setCompressionType(Compression.Algorithm.SNAPPY)
        .setMaxVersions(versions)
        .build();
  }
}
